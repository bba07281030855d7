"""core.hdr against the HdrHistogram package and against sorted values."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core import hdr

MOST_NS = 3_600 * 10**9
values_ns = st.one_of(
    st.integers(0, MOST_NS),
    st.integers(0, 41).map(lambda power: 1 << power),  # where buckets begin and end
    st.integers(1, 41).map(lambda power: (1 << power) - 1),
)
many_values_ns = st.lists(values_ns, min_size=1, max_size=200)


def counts_of(values: list[int]) -> hdr.Counts:
    return np.bincount(hdr.bucket_index(values)).astype(np.int64)


@given(value=values_ns)
def test_a_bucket_index_is_that_of_hdrhistogram(value: int) -> None:
    theirs = HdrHistogram(1, MOST_NS * 2, 3)

    assert int(hdr.bucket_index([value])[0]) == theirs.get_counts_array_index(value)


@given(value=values_ns)
def test_the_ends_of_a_bucket_are_those_of_hdrhistogram(value: int) -> None:
    theirs = HdrHistogram(1, MOST_NS * 2, 3)

    index = hdr.bucket_index([value])

    assert int(hdr.lowest_of(index)[0]) == theirs.get_lowest_equivalent_value(value)
    assert int(hdr.highest_of(index)[0]) == theirs.get_highest_equivalent_value(value)


@given(value=st.integers(0, 2**63 - 1))
def test_every_value_lies_in_its_bucket_whose_width_is_within_a_thousandth(value: int) -> None:
    index = hdr.bucket_index([value])
    lowest, highest = int(hdr.lowest_of(index)[0]), int(hdr.highest_of(index)[0])

    assert lowest <= value <= highest
    assert highest - lowest <= lowest / 1000


@given(index=st.integers(0, 55_295))
def test_both_ends_of_every_bucket_lead_back_to_it(index: int) -> None:
    assert int(hdr.bucket_index(hdr.lowest_of([index]))[0]) == index
    assert int(hdr.bucket_index(hdr.highest_of([index]))[0]) == index


@given(values=many_values_ns, fraction=st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0]))
def test_a_percentile_is_the_bucket_of_the_value_at_its_rank(values: list[int], fraction: float) -> None:
    ordered = sorted(values)
    per_ten_thousand = round(fraction * 10_000)
    rank = max(1, -(-per_ten_thousand * len(values) // 10_000))

    found = hdr.percentile(counts_of(values), fraction)

    assert found == int(hdr.highest_of(hdr.bucket_index([ordered[rank - 1]]))[0])


@given(values=many_values_ns, rank=st.integers(1, 200))
def test_a_percentile_at_a_whole_rank_is_that_of_hdrhistogram(values: list[int], rank: int) -> None:
    rank = min(rank, len(values))
    theirs = HdrHistogram(1, MOST_NS * 2, 3)
    for value in values:
        theirs.record_value(value)

    found = hdr.percentile(counts_of(values), rank / len(values))

    assert found == theirs.get_value_at_percentile(100 * rank / len(values))


@given(value=values_ns)
def test_a_histogram_of_the_stated_size_holds_the_value_and_is_no_larger(value: int) -> None:
    assert hdr.bucket_count(value) == len(counts_of([value]))


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="negative value: -1"):
        hdr.bucket_index([5, -1])


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_percentile_outside_the_distribution_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="no percentiles"):
        hdr.percentile(counts_of([1, 2]), fraction)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="of 0 values"):
        hdr.percentile(np.zeros(0, dtype=np.int64), 0.5)


def test_ranks_of_large_counts_are_not_off_by_one() -> None:
    # 0.999 of a thousand million: the product's last bits lie above the whole number.
    counts = np.array([999_000_000, 1_000_000], dtype=np.int64)

    assert hdr.percentiles(counts, [0.999, 0.9991]) == [0, 1]
