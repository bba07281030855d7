"""A dependent series within one window: values that follow each other are alike, so that their number overstates.

Nothing here mixes repetitions: between those `statistics` counts each as one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgflow_stress.analysis.statistics import LEVEL, Floats, Interval, finite, mean

LEAST_BATCHES = 20  # with fewer an autocorrelation is mostly noise
LEAST_FOR_BOOTSTRAP = 20  # with fewer the percentile interval is too short
_RESAMPLES = 4_000
_LEAST_RESAMPLES = 1_000
_MOST_DRAWN = 1_000_000


@dataclass(frozen=True, slots=True)
class Dependence:
    """How alike neighbours are, and how many independent values the series is worth."""

    lag_1: float
    effective_n: float
    n: int


def bootstrap(
    values: Sequence[float] | Floats, seed: int = 1, level: float = LEVEL, resamples: int = _RESAMPLES
) -> Interval:
    """Mean and percentile bootstrap interval of independent values.

    Args:
        values: at least 20, in any unit.
    Raises:
        ValueError: fewer than 20 values, one that is no finite number, all the same, fewer than 1,000 resamples.
    Source: Efron, Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13.
    """
    return block_bootstrap(values, 1, seed, level, resamples)


def block_bootstrap(
    values: Sequence[float] | Floats,
    block: int | None = None,
    seed: int = 1,
    level: float = LEVEL,
    resamples: int = _RESAMPLES,
) -> Interval:
    """Mean and percentile interval of a dependent series, out of blocks of neighbours drawn with replacement.

    Args:
        values: at least 20, in their order in time.
        block: values a block [the cube root of n, rounded up]; at most half the series.
    Raises:
        ValueError: as `bootstrap`, or a block that does not fit.
    Source: Kunsch 1989, "The jackknife and the bootstrap for general stationary observations"; the block's length:
        Hall, Horowitz, Jing 1995, "On blocking rules for the bootstrap with dependent data".
    """
    array = finite(values, LEAST_FOR_BOOTSTRAP)
    n = len(array)
    # The 1e-9: 27 ** (1 / 3) is a hair above 3.
    length = math.ceil(n ** (1 / 3) - 1e-9) if block is None else block
    if not 1 <= length <= n // 2:
        raise ValueError(f"a block is of 1 to {n // 2} of {n} values, not {length}")
    if resamples < _LEAST_RESAMPLES:
        raise ValueError(f"a percentile interval takes {_LEAST_RESAMPLES:,} resamples, not {resamples}")
    if array.min() == array.max():
        raise ValueError(f"all {n} values are the same: an interval needs a spread")
    means = _resampled_means(array, length, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(array.mean()), float(low), float(high), n)


def _resampled_means(array: Floats, length: int, resamples: int, generator: np.random.Generator) -> Floats:
    """Means of series as long as this one, put together of its blocks; the last block is cut, float64[resamples]."""
    n, places = len(array), len(array) - length + 1
    whole, cut = divmod(n, length)
    centre = array.mean()
    running = np.concatenate(([0.0], np.cumsum(array - centre)))  # a block's sum is a difference of two of these
    of_whole = running[length:] - running[:places]
    of_cut = running[cut : cut + places] - running[:places]
    sums = np.empty(resamples)
    at_once = max(1, _MOST_DRAWN // whole)  # a long window's all together would be gigabytes
    for begin in range(0, resamples, at_once):
        some = min(at_once, resamples - begin)
        sums[begin : begin + some] = of_whole[generator.integers(0, places, (some, whole))].sum(axis=1)
        sums[begin : begin + some] += of_cut[generator.integers(0, places, some)]
    return np.asarray(centre + sums / n, dtype=np.float64)


def batches(values: Sequence[float] | Floats, count: int = LEAST_BATCHES) -> Floats:
    """Means of `count` batches of equal length, float64[count]; what is left over at the end is left out.

    Raises:
        ValueError: fewer than two batches asked for, fewer values than batches, one that is no finite number.
    Source: Law 2015, "Simulation Modeling and Analysis", ch. 9 (batch means).
    """
    if count < 2:
        raise ValueError(f"batch means take 2 batches, not {count}")
    array = finite(values, count)
    length = len(array) // count
    return np.asarray(array[: count * length].reshape(count, length).mean(axis=1), dtype=np.float64)


def batch_means(values: Sequence[float] | Floats, count: int = LEAST_BATCHES, level: float = LEVEL) -> Interval:
    """Mean of a dependent series with the t interval of its batches' means, which are nearly independent; n: batches.

    Raises:
        ValueError: as `batches`, or batches that are all the same.
    Source: Law 2015, ch. 9.
    """
    return mean(batches(values, count), level)


def autocorrelation(values: Sequence[float] | Floats, lag: int = 1) -> float:
    """Correlation of a series with itself `lag` values later, within -1 to 1.

    Args:
        values: at least 20, in their order in time.
    Raises:
        ValueError: fewer than 20 values, one that is no finite number, all the same, a lag that does not fit.
    Source: Box, Jenkins, Reinsel 2008, "Time Series Analysis", ch. 2 (divides by n).
    """
    array = finite(values, LEAST_BATCHES)
    if not 1 <= lag < len(array):
        raise ValueError(f"a lag is from 1 to {len(array) - 1}, not {lag}")
    return float(_correlations(array)[lag])


def dependence(values: Sequence[float] | Floats, least: int = LEAST_BATCHES) -> Dependence:
    """How alike neighbours are, and the number of independent values whose mean would be as exact.

    n / (1 + 2 * the sum of correlations), summed in pairs of lags as long as a pair's sum is positive; never above n.

    Args:
        values: in their order in time.
        least: so many at least, 2 or more; of fewer than 20 this is mostly noise, which can only lower the number.
    Raises:
        ValueError: as `autocorrelation`.
    Source: Geyer 1992, "Practical Markov chain Monte Carlo" (initial positive sequence).
    """
    array = finite(values, least)
    correlations = _correlations(array)
    n, total = len(array), -1.0
    for even in range(0, n - 1, 2):
        pair = float(correlations[even] + correlations[even + 1])
        if pair <= 0:
            break
        total += 2 * pair
    return Dependence(float(correlations[1]), n / max(1.0, total), n)


def _correlations(array: Floats) -> Floats:
    """At lags 0 to n - 1."""
    if array.min() == array.max():
        raise ValueError(f"all {len(array)} values are the same: nothing correlates")
    centred = array - array.mean()
    n = len(array)
    spectrum = np.fft.rfft(centred, 2 * n)  # padded: a circular correlation would join the end to the beginning
    products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n]
    return np.asarray(products / products[0], dtype=np.float64)
