"""Counters that do not vary: decided by an exact test, or by none."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from pgflow_stress.analysis.compare import compare_values
from pgflow_stress.analysis.comparison import Verdict
from pgflow_stress.analysis.fingerprints import Noise
from pgflow_stress.analysis.permutation import exact

COUNTER = "server.wal_records_per_task"


@pytest.mark.parametrize(
    ("base", "candidate", "verdict"),
    [
        (20.0, 20.0, Verdict.EQUIVALENT),
        (20.0, 20.2, Verdict.WORSE),
        (20.0, 19.8, Verdict.BETTER),
        (20.0, 40.0, Verdict.WORSE),
    ],
)
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("n", [5, 12])
def test_constant_sides_are_decided(base: float, candidate: float, verdict: Verdict, paired: bool, n: int) -> None:
    found = compare_values(COUNTER, [base] * n, [candidate] * n, paired=paired)

    assert found.verdict is verdict
    assert found.exact
    assert found.ratio == pytest.approx(candidate / base)
    assert found.ci95 == (found.ratio, found.ratio)


def test_a_difference_within_the_limit_of_equivalence_is_told_as_such() -> None:
    assert compare_values(COUNTER, [20.0] * 5, [20.2] * 5, paired=True).reason == "though within ±5 %"
    assert compare_values(COUNTER, [20.0] * 5, [40.0] * 5, paired=True).reason == ""


@pytest.mark.parametrize(("n", "verdict"), [(5, Verdict.NO_DIFFERENCE), (6, Verdict.WORSE)])
def test_one_ratio_in_all_pairs_takes_six_of_them(n: int, verdict: Verdict) -> None:
    base = [20.0 + i for i in range(n)]

    found = compare_values(COUNTER, base, [1.5 * value for value in base], paired=True)

    assert found.verdict is verdict
    assert found.p == pytest.approx(2 * 0.5**n)
    assert ("too few" in found.reason) is (verdict is Verdict.NO_DIFFERENCE)


def test_counters_that_vary_are_left_to_t() -> None:
    base, candidate = [20.0, 20.1, 20.0, 20.2, 20.1], [20.1, 20.2, 20.0, 20.3, 20.2]

    assert exact(base, candidate, paired=True) is None
    assert not compare_values(COUNTER, base, candidate, paired=True).exact


def test_times_that_do_not_vary_were_not_measured() -> None:
    found = compare_values("execute.per_second", [500.0] * 10, [400.0] * 10, paired=True)

    assert found.verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_what_has_no_ratio_cannot_be_told(value: float) -> None:
    found = compare_values(COUNTER, [20.0] * 5, [value] * 5, paired=True)

    assert found.verdict is Verdict.CANNOT_TELL
    assert found.reason


def test_values_too_far_apart_cannot_be_told() -> None:
    assert compare_values(COUNTER, [1e-300] * 5, [1e300] * 5, paired=True).verdict is Verdict.CANNOT_TELL


def test_below_five_nothing_is_told() -> None:
    assert compare_values(COUNTER, [20.0] * 4, [40.0] * 4, paired=True).verdict is Verdict.CANNOT_TELL


def test_between_sessions_only_what_is_beyond_their_noise_is_a_difference() -> None:
    noise = Noise(0.25, measured=False)

    near = compare_values(COUNTER, [20.0] * 5, [24.0] * 5, paired=False, noise=noise)
    far = compare_values(COUNTER, [20.0] * 5, [26.0] * 5, paired=False, noise=noise)

    assert (near.verdict, far.verdict) == (Verdict.NO_DIFFERENCE, Verdict.WORSE)
    assert "noise between sessions" in near.reason


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 5), (4, 7)])
def test_p_is_the_permutation_tests(n: int, m: int) -> None:
    base, candidate = [20.0] * n, [21.0] * m

    found = exact(base, candidate, paired=False)
    told = stats.permutation_test(
        (base, candidate), lambda one, other: sum(one) / len(one) - sum(other) / len(other), n_resamples=1_000_000
    )

    assert found is not None
    assert found.p_beyond() == pytest.approx(told.pvalue)


@pytest.mark.parametrize("n", [3, 6])
def test_p_of_pairs_is_the_permutation_tests(n: int) -> None:
    base = [20.0 + i for i in range(n)]
    candidate = [1.5 * value for value in base]

    found = exact(base, candidate, paired=True)
    told = stats.permutation_test(
        (base, candidate), lambda one, other: sum(one) - sum(other), permutation_type="samples", n_resamples=1_000_000
    )

    assert found is not None
    assert found.p_beyond() == pytest.approx(told.pvalue)
