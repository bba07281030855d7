from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pgflow_stress.analysis import series, statistics
from pgflow_stress.analysis.statistics import LogRatio

GOOD = [10.0, 11.0, 12.0, 10.5, 11.5]
OF_RATIOS: list[Callable[[Any], object]] = [
    statistics.geometric_mean,
    lambda values: statistics.welch(values, GOOD),
    lambda values: statistics.welch(GOOD, values),
    lambda values: statistics.paired(values, GOOD[: len(values)]),
    lambda values: statistics.repetitions_for(values, 0.02),
]
OF_SERIES: list[Callable[[Any], object]] = [
    series.bootstrap,
    series.block_bootstrap,
    series.batch_means,
    series.autocorrelation,
    series.dependence,
]


@pytest.mark.parametrize("function", OF_RATIOS)
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([], "no values: it takes 2"),
        ([1.0], "1 value: it takes 2"),
        ([1.0, math.nan, 2.0], "a value is nan"),
        ([1.0, math.inf, 2.0], "a value is inf"),
        ([1.0, 0.0, 2.0], "a value is 0: ratios need values above 0"),
        ([1.0, -3.0, 2.0], "a value is -3"),
        ([1.0, None, 2.0], "a value is not a number"),
        ([1.0, "2", 2.0], "a value is not a number"),
        ([1.0, True, 2.0], "a value is not a number"),
    ],
)
def test_what_ratios_cannot_bear_is_one_clear_line(function: Callable[[Any], object], values: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told) as raised:
        function(values)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("function", OF_SERIES)
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([], "no values: it takes 20"),
        ([1.0, 2.0] * 9 + [3.0], "19 values: it takes 20"),
        ([math.nan] + [1.0, 2.0] * 10, "a value is nan"),
        ([7.0] * 20, "the same"),
    ],
)
def test_what_a_series_cannot_bear_is_one_clear_line(function: Callable[[Any], object], values: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        function(values)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: statistics.geometric_mean([5.0, 5.0, 5.0]), "all 3 values are the same"),
        (lambda: statistics.mean([0.0, 0.0]), "all 2 values are the same"),
        (lambda: statistics.welch([5.0, 5.0], [6.0, 6.0]), "a test needs a spread"),
        (lambda: statistics.paired([5.0, 6.0, 9.0], [10.0, 12.0, 18.0]), "every pair has the same ratio"),
        (lambda: statistics.paired(GOOD, GOOD), "every pair has the same ratio"),
        (lambda: statistics.paired([1.0, 2.0], [1.0, 2.0, 3.0]), "2 values against 3 are no pairs"),
        (lambda: statistics.repetitions_for([5.0, 5.0], 0.1), "a pilot needs a spread"),
        (lambda: statistics.repetitions_for(GOOD, 0), "a precision is above 0"),
        (lambda: statistics.repetitions_for(GOOD, math.nan), "a precision is above 0"),
        (lambda: statistics.repetitions_for(GOOD, 1e-9), "more than 1,000,000 repetitions"),
        (lambda: statistics.pairs_for(LogRatio(0, 0.1, 9), 0), "a difference of 0"),
        (lambda: statistics.pairs_for(LogRatio(0, 0.1, 9), 1e-7), "more than 1,000,000 repetitions"),
        (lambda: statistics.p_equivalent(LogRatio(0, 0.1, 9), 0), "equivalence within 0"),
        (lambda: statistics.p_beyond(LogRatio(0, 0.1, 9), 1), "a limit is from 0 to under 1"),
        (lambda: LogRatio(0, 1e4, 3).interval(), "spread too far"),
        (lambda: statistics.holm([0.1, 1.1]), "not within 0 to 1"),
        (lambda: statistics.holm([math.nan]), "not within 0 to 1"),
        (lambda: statistics.mean_of_quantiles([[1.0], []], 0.5), "no values: it takes 1"),
        (lambda: statistics.mean_of_quantiles([[1.0], [2.0]], 1.5), "a quantile is from 0 to 1"),
        (lambda: series.block_bootstrap(np.arange(40.0), 21), "a block is of 1 to 20 of 40 values, not 21"),
        (lambda: series.bootstrap(np.arange(40.0), resamples=100), "takes 1,000 resamples"),
        (lambda: series.batches(GOOD, 1), "batch means take 2 batches"),
        (lambda: series.batches(GOOD, 6), "5 values: it takes 6"),
        (lambda: series.autocorrelation(np.arange(20.0), 20), "a lag is from 1 to 19"),
    ],
)
def test_what_no_number_can_be_made_of_is_refused(call: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call()


def test_a_spread_that_is_only_rounding_is_none() -> None:
    almost = [0.1 + 0.2, 0.3, 0.3, 0.3]

    with pytest.raises(ValueError, match="the same"):
        statistics.geometric_mean(almost)
    with pytest.raises(ValueError, match="needs a spread"):
        statistics.welch(almost, [value * 1.5 for value in almost])


def test_one_side_without_spread_is_tested_by_the_others() -> None:
    found = statistics.welch([5.0, 5.0, 5.0], GOOD)

    assert found.df == pytest.approx(len(GOOD) - 1)


def test_holm_of_the_textbook() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_pilot_that_is_exact_enough_is_all_there_is() -> None:
    assert statistics.repetitions_for(GOOD, 0.5) == len(GOOD)
