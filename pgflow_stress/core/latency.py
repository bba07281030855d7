"""Latencies out of HDR counts, HDR counts out of arrays of latencies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pgflow_stress.core import hdr
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Latency

# In ten-thousandths, so that "fewer than 10 samples beyond it" is decided in whole numbers.
_SCALE = 10_000
QUANTILES = {"p50": 5_000, "p90": 9_000, "p95": 9_500, "p99": 9_900, "p999": 9_990, "p9999": 9_999}
LEAST_SAMPLES_BEYOND = 10

Durations = npt.NDArray[np.int64]


def empty_histogram() -> Histogram:
    """A histogram in which nothing was recorded."""
    return Histogram(np.zeros(0, dtype=np.int64), count=0, samples=0, total_ns=0, max_ns=0)


def histogram_of(values_ns: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Histogram:
    """Count latencies into HDR buckets.

    Args:
        values_ns: int64[n], ns, >= 0: one a statement.
        weights: int64[n], >= 0: how many items each statement carried; one each where absent.
    Returns:
        Sum and maximum are exact; `samples` is n, `count` the sum of the weights.
    Raises:
        ValueError: a negative latency, or shapes that differ.
    """
    values = np.asarray(values_ns, dtype=np.int64).reshape(-1)
    items = None if weights is None else np.asarray(weights, dtype=np.int64).reshape(-1)
    if items is not None and items.shape != values.shape:
        raise ValueError(f"{values.size} latencies, {items.size} weights")
    if not values.size:
        return empty_histogram()
    index = hdr.bucket_index(values)
    if items is None:
        counts = np.bincount(index).astype(np.int64)
    else:
        counts = np.rint(np.bincount(index, weights=items)).astype(np.int64)  # float64: exact below 2**53 items
    return Histogram(
        counts=counts,
        count=int(counts.sum()),
        samples=int(values.size),
        total_ns=_weighted_sum(values, items),
        max_ns=int(values.max()),
    )


def _weighted_sum(values: Durations, items: Durations | None) -> int:
    """Sum of values * items without overflow: a hundred million latencies of minutes exceed an int64."""
    high, low = values >> 32, values & 0xFFFFFFFF
    if items is not None:
        high, low = high * items, low * items
    return (int(high.sum()) << 32) + int(low.sum())


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """The histogram of all recorded values together."""
    parts = list(histograms)
    counts = np.zeros(max((part.counts.size for part in parts), default=0), dtype=np.int64)
    for part in parts:
        counts[: part.counts.size] += part.counts
    return Histogram(
        counts=counts,
        count=sum(part.count for part in parts),
        samples=sum(part.samples for part in parts),
        total_ns=sum(part.total_ns for part in parts),
        max_ns=max((part.max_ns for part in parts), default=0),
    )


def latency_of(histogram: Histogram) -> Latency:
    """Percentiles, mean and maximum, as the result states them.

    A percentile with fewer than 10 samples beyond it is None. The highest value of a bucket can exceed the largest
    one recorded, so percentiles end at the maximum.
    """
    if histogram.count == 0:
        return Latency()
    stated = [
        name
        for name, quantile in QUANTILES.items()
        if histogram.samples * (_SCALE - quantile) >= LEAST_SAMPLES_BEYOND * _SCALE
    ]
    values = hdr.percentiles(histogram.counts, [QUANTILES[name] / _SCALE for name in stated]) if stated else []
    return Latency(
        count=histogram.count,
        samples=histogram.samples,
        mean=histogram.total_ns / histogram.count,
        max=histogram.max_ns,
        **{name: min(value, histogram.max_ns) for name, value in zip(stated, values, strict=True)},
    )


def signed_latency_of(negative: Histogram, positive: Histogram) -> Latency:
    """As `latency_of`, of values that may be negative: one histogram has what is below zero, by its magnitude.

    A percentile that falls among the negative ones is the lowest magnitude of its bucket, negated: at or above it.
    """
    below, above = negative.count, positive.count
    total, samples = below + above, negative.samples + positive.samples
    if total == 0:
        return Latency()
    values: dict[str, int] = {}
    for name, quantile in QUANTILES.items():
        if samples * (_SCALE - quantile) < LEAST_SAMPLES_BEYOND * _SCALE:
            continue
        rank = max(1, -(-total * quantile // _SCALE))
        if rank <= below:
            # The rank-th smallest is the (below - rank + 1)-th of the magnitudes.
            index = int(np.searchsorted(np.cumsum(negative.counts), below - rank + 1))
            values[name] = -int(hdr.lowest_of([index])[0])
        else:
            index = int(np.searchsorted(np.cumsum(positive.counts), rank - below))
            values[name] = min(int(hdr.highest_of([index])[0]), positive.max_ns)
    return Latency(
        count=total,
        samples=samples,
        mean=(positive.total_ns - negative.total_ns) / total,
        max=positive.max_ns if above else -int(hdr.lowest_of(np.flatnonzero(negative.counts)[:1])[0]),
        **values,
    )
