from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pgflow_stress.analysis.paired_cost import paired_cost, pairs
from pgflow_stress.core.result import Repetition
from tests.fixtures.results import build_baseline, build_observed, build_repetition

WATCHED, ALONE = build_observed(1), build_baseline(2)


def at_rate(repetition: Repetition, index: int, per_second: float) -> Repetition:
    """The same, with another rate of the process phase: quicker than to draw its latencies again."""
    process = replace(repetition.phases["process"], per_second=per_second)
    return replace(repetition, index=index, phases={**repetition.phases, "process": process})


def interleaved(*seconds: tuple[float, float]) -> list[Repetition]:
    """A warm-up, then with, without, without, with ...: each pair (seconds with, seconds without)."""
    repetitions = [build_observed(0, warmup=True)]
    for number, (watched, alone) in enumerate(seconds):
        first, second = 2 * number + 1, 2 * number + 2
        if number % 2:
            repetitions += [build_baseline(first, process_seconds=alone)]
            repetitions += [build_observed(second, process_seconds=watched)]
        else:
            repetitions += [build_observed(first, process_seconds=watched)]
            repetitions += [build_baseline(second, process_seconds=alone)]
    return repetitions


def indexes(repetitions: list[Repetition]) -> list[tuple[int, int]]:
    return [(watched.index, alone.index) for watched, alone in pairs(repetitions)]


def test_without_a_baseline_nothing_is_said_of_cost() -> None:
    assert paired_cost([build_observed(1), build_repetition(2)]) == {}


def test_each_repetition_is_paired_with_the_one_next_to_it() -> None:
    assert indexes(interleaved((12, 12), (12, 12), (12, 12))) == [(1, 2), (4, 3), (5, 6)]


def test_a_repetition_that_does_not_count_takes_its_partner_with_it_and_no_other() -> None:
    ran = interleaved((12, 12), (12, 12), (12, 12))
    ran[4] = build_observed(4, interrupted=True)
    assert indexes(ran) == [(1, 2), (5, 6)]

    ran = interleaved((12, 12), (12, 12), (12, 12))
    ran[2] = build_baseline(2, lost_worker=True)
    assert indexes(ran) == [(4, 3), (5, 6)]

    ran = interleaved((12, 12), (12, 12), (12, 12))
    ran[3] = build_baseline(3, interrupted=True)
    assert indexes(ran) == [(1, 2), (5, 6)]


def test_twice_the_time_with_the_observer_is_half_the_rate() -> None:
    cost = paired_cost(interleaved((20, 10), (24, 12)))["process.per_second"]

    assert cost.ratio == pytest.approx(0.5)
    assert cost.ci95 == pytest.approx((0.5, 0.5))
    assert cost.n == 2


def test_the_mean_is_geometric_so_that_twice_and_half_cancel() -> None:
    cost = paired_cost(interleaved((20, 10), (10, 20)))["process.per_second"]

    assert cost.ratio == pytest.approx(1.0)
    assert cost.ci95 is not None
    assert cost.ci95[0] * cost.ci95[1] == pytest.approx(1.0)


def test_one_pair_has_a_ratio_and_no_interval_and_none_has_neither() -> None:
    assert paired_cost(interleaved((12, 10)))["execute.per_second"].ci95 is None
    assert paired_cost(interleaved((12, 10)))["execute.per_second"].n == 1
    assert paired_cost([build_baseline(1)])["process.per_second"].as_json() == {"ratio": None, "ci95": None, "n": 0}


rates = st.floats(1, 1_000)


@given(ratios=st.lists(st.tuples(rates, rates), min_size=2, max_size=10))
def test_the_interval_is_students_of_the_logarithms(ratios: list[tuple[float, float]]) -> None:
    ran = []
    for place, (watched, alone) in enumerate(ratios):
        ran += [at_rate(WATCHED, 2 * place, watched), at_rate(ALONE, 2 * place + 1, alone)]

    cost = paired_cost(ran)["process.per_second"]

    logarithms = [math.log(watched / alone) for watched, alone in ratios]
    middle, scale = statistics.fmean(logarithms), stats.sem(logarithms)
    assert cost.n == len(ratios)
    assert cost.ratio == pytest.approx(math.exp(middle))
    assert cost.ci95 is not None
    if scale > 1e-6:
        expected = stats.t.interval(0.95, len(logarithms) - 1, loc=middle, scale=scale)
        assert [math.log(end) for end in cost.ci95] == pytest.approx(expected, rel=1e-6, abs=1e-9)
