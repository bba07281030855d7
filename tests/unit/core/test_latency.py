from __future__ import annotations

import numpy as np
import pytest

from pgflow_stress.core.latency import empty_histogram, histogram_of, latency_of, merge
from pgflow_stress.core.result import Latency


def test_nothing_recorded_is_counts_of_zero_and_nulls() -> None:
    assert latency_of(empty_histogram()) == Latency()
    assert latency_of(histogram_of([])) == Latency()
    assert latency_of(merge([])) == Latency()


def test_one_sample_has_a_mean_and_a_maximum_and_no_percentile() -> None:
    latency = latency_of(histogram_of([123_456_789], [500]))

    assert latency == Latency(count=500, samples=1, mean=123_456_789.0, max=123_456_789)


def test_a_percentile_never_exceeds_the_maximum_although_its_bucket_does() -> None:
    latency = latency_of(histogram_of([5_000_000] * 20))  # the bucket ends at 5,001,215

    assert (latency.p50, latency.max) == (5_000_000, 5_000_000)


def test_a_hundred_samples_state_p90_and_not_p95() -> None:
    latency = latency_of(histogram_of(range(1, 101)))

    assert (latency.p50, latency.p90, latency.p95) == (50, 90, None)


def test_sums_beyond_64_bits_are_exact() -> None:
    hour_ns = 3_600 * 10**9

    histogram = histogram_of(np.full(100_000, hour_ns), np.full(100_000, 50_000))

    assert histogram.total_ns == hour_ns * 100_000 * 50_000
    assert histogram.total_ns > 2**63


@pytest.mark.parametrize(("values", "weights"), [([-1], None), ([1, 2], [1])])
def test_what_cannot_be_a_latency_is_refused(values: list[int], weights: list[int] | None) -> None:
    with pytest.raises(ValueError, match=r"negative|weights"):
        histogram_of(values, weights)
