"""analysis.latency: counting, merging and percentiles keep what was recorded."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.latency import QUANTILES, histogram_of, latency_of, merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.report.histograms import SparseHistogram, to_hdr

latencies_ns = st.lists(st.integers(0, 10**13), max_size=120)


def assert_same(a: Histogram, b: Histogram) -> None:
    size = max(a.counts.size, b.counts.size)
    assert np.array_equal(np.pad(a.counts, (0, size - a.counts.size)), np.pad(b.counts, (0, size - b.counts.size)))
    for name in (field.name for field in fields(Histogram) if field.name != "counts"):
        assert getattr(a, name) == getattr(b, name), name


@given(values=latencies_ns)
def test_count_sum_and_maximum_are_exact(values: list[int]) -> None:
    histogram = histogram_of(values)

    assert (histogram.count, histogram.samples) == (len(values), len(values))
    assert histogram.total_ns == sum(values)
    assert histogram.max_ns == max(values, default=0)
    assert int(histogram.counts.sum()) == len(values)


@given(pairs=st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 50)), max_size=80))
def test_a_weight_counts_as_that_many_items_of_one_sample(pairs: list[tuple[int, int]]) -> None:
    values, weights = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    repeated = histogram_of([value for value, weight in pairs for _ in range(weight)])

    histogram = histogram_of(values, weights)

    assert histogram.samples == len(pairs)
    assert (histogram.count, histogram.total_ns) == (repeated.count, repeated.total_ns)
    assert np.array_equal(histogram.counts[: repeated.counts.size], repeated.counts)


@given(first=latencies_ns, second=latencies_ns)
def test_merged_parts_are_as_if_recorded_together(first: list[int], second: list[int]) -> None:
    assert_same(merge([histogram_of(first), histogram_of(second)]), histogram_of(first + second))


@given(values=latencies_ns)
def test_percentiles_ascend_and_end_at_the_maximum(values: list[int]) -> None:
    latency = latency_of(histogram_of(values))

    stated = [getattr(latency, name) for name in QUANTILES if getattr(latency, name) is not None]
    assert stated == sorted(stated)
    assert all(value <= (latency.max or 0) for value in stated)


@given(samples=st.integers(1, 2_000), weight=st.integers(1, 5))
def test_a_percentile_is_stated_where_ten_samples_lie_beyond_it(samples: int, weight: int) -> None:
    latency = latency_of(histogram_of(np.arange(samples), np.full(samples, weight)))

    for name, quantile in QUANTILES.items():
        assert (getattr(latency, name) is not None) == (samples * (10_000 - quantile) >= 100_000), name


@given(values=latencies_ns)
def test_dropping_empty_buckets_and_back_changes_nothing(values: list[int]) -> None:
    histogram = histogram_of(values)

    assert_same(SparseHistogram.of(histogram).dense(), histogram)


@given(values=latencies_ns.filter(bool))
def test_the_packages_object_is_what_the_package_records_itself(values: list[int]) -> None:
    made = to_hdr(histogram_of(values))
    recorded = type(made)(1, made.highest_trackable_value, 3)
    for value in values:
        assert recorded.record_value(value)

    assert list(made.counts) == list(recorded.counts)
    assert made.get_total_count() == recorded.get_total_count()
    assert made.get_max_value() == recorded.get_max_value()
