"""`--repetitions auto`: the number that a pilot asks for, and what is said of what came of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pgflow_stress.analysis import precision
from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, Evidence
from pgflow_stress.core.result import Json
from tests.fixtures.results import build_repetition

PILOT = [100.0, 102.0, 98.0, 101.0, 99.0, 103.0, 97.0, 100.5, 99.5, 101.5]


def said(auto: Json, n: int = 3) -> list[str]:
    repetitions = [build_repetition(index) for index in range(n)]
    evidence = Evidence({precision.KEY: auto}, repetitions, {}, {}, DEFAULT_LIMITS)
    return [finding.text for finding in precision.precision_is_told(evidence)]


def test_as_many_are_taken_as_make_the_half_width_of_the_pilots_t() -> None:
    sample = precision.repetitions_of(PILOT, 0.01)
    deviation = float(np.log(PILOT).std(ddof=1))
    half = stats.t.ppf(0.975, 9) * deviation

    assert sample.computed == sample.taken == math.ceil((half / math.log1p(0.01)) ** 2)
    assert sample.enough
    assert precision.half_width(PILOT, sample.taken) == pytest.approx(math.expm1(half / math.sqrt(sample.taken)))


def test_a_pilot_that_is_exact_enough_is_all() -> None:
    sample = precision.repetitions_of(PILOT, 0.05)

    assert (sample.computed, sample.taken) == (10, 10)
    assert precision.reached(PILOT, PILOT, 0.05)["reached"]


@pytest.mark.parametrize("asked", [0.001, 1e-9])
def test_more_than_the_most_are_never_taken_and_that_is_no_precision_reached(asked: float) -> None:
    sample = precision.repetitions_of(PILOT, asked)

    assert sample.taken == precision.MOST
    assert not sample.enough
    assert not precision.reached(PILOT, PILOT * 20, asked)["reached"]


@pytest.mark.parametrize("pilot", [[], PILOT[:4], [100.0] * 10, [*PILOT[:9], 0.0], [*PILOT[:9], math.nan]])
def test_a_pilot_that_says_nothing_asks_for_nothing_and_says_why(pilot: list[float]) -> None:
    sample = precision.repetitions_of(pilot, 0.02)

    assert (sample.computed, sample.taken) == (None, len(pilot))
    assert sample.reason
    if len(pilot) != 4:
        assert not precision.reached(pilot, pilot, 0.02)["reached"]


def test_where_the_rest_spreads_more_than_its_pilot_the_precision_is_not_reached() -> None:
    rest = [value * factor for value in PILOT for factor in (0.7, 1.3)]

    found = precision.reached(PILOT, [*PILOT, *rest], 0.02)

    assert (precision.half_width(PILOT, 30) or 1) < 0.02 < found["half_width"]
    assert not found["reached"]


def test_two_stages_cover_the_mean_though_the_pilot_set_the_number() -> None:
    generator, covered, times = np.random.default_rng(5), 0, 2_000
    for _ in range(times):
        pilot = np.exp(generator.normal(0, 0.02, precision.PILOT))
        sample = precision.repetitions_of(pilot.tolist(), 0.01)
        rest = np.exp(generator.normal(0, 0.02, sample.taken - precision.PILOT))
        centre = float(np.log(np.concatenate((pilot, rest))).mean())
        width = precision.half_width(pilot.tolist(), sample.taken)
        assert width is not None
        assert width <= 0.01 or not sample.enough
        covered += abs(centre) <= math.log1p(width)

    assert stats.binomtest(covered, times).proportion_ci(0.99).high >= 0.95


def test_pairs_find_the_difference_with_the_power_that_is_told() -> None:
    generator = np.random.default_rng(7)
    base = np.exp(generator.normal(0, 0.03, 10)).tolist()
    candidate = np.exp(generator.normal(0, 0.03, 10)).tolist()
    sample = precision.pairs_of(base, candidate, 0.05)
    deviation = float((np.log(candidate) - np.log(base)).std(ddof=1))

    found = sum(
        stats.ttest_1samp(generator.normal(math.log1p(0.05), deviation, sample.taken), 0).pvalue < 0.05
        for _ in range(1_000)
    )

    assert sample.enough
    assert stats.binomtest(found, 1_000).proportion_ci(0.99).high >= precision.POWER


def test_the_smallest_difference_of_the_planned_pairs_is_the_one_asked_for() -> None:
    generator = np.random.default_rng(9)
    differences = generator.normal(0, 0.03, 30)
    interval = stats.t.interval(0.95, 29, differences.mean(), differences.std(ddof=1) / math.sqrt(30))
    pairs = precision.pairs_of(np.ones(30).tolist(), np.exp(differences).tolist(), 0.02)

    smallest = precision.smallest_difference((math.exp(interval[0]), math.exp(interval[1])), 30)

    assert smallest is not None
    assert (smallest <= 0.02) == (pairs.computed == 30)
    assert precision.smallest_difference((1.0, 1.0), 30) is None


def test_what_was_reached_is_told_as_a_note() -> None:
    auto: Json = {"metric": "execute.per_second", "precision": 0.02, "pilot": 10, "computed": 37, "reason": ""}

    assert said({**auto, "half_width": 0.019, "reached": True}, 37) == [
        "execute.per_second within ±2 %, as asked (95 %, 37 repetitions, a pilot of 10 among them)"
    ]
    assert said({**auto, "half_width": 0.031, "reached": False, "computed": 812}) == [
        "not execute.per_second within ±2 %: ±3.1 % after 3 repetitions; it takes 812, and auto at most 200"
    ]
    assert said({**auto, "half_width": None, "reached": False, "computed": None, "reason": "it ended"}) == [
        "not execute.per_second within ±2 %; it ended"
    ]
    assert said({**auto, "discarded": True}) == []
