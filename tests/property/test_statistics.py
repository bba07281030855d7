"""analysis.statistics against scipy.stats, closed forms and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from pgflow_stress.analysis import statistics
from pgflow_stress.analysis.statistics import LogRatio

positive = st.floats(1e-3, 1e12)
sides = st.lists(positive, min_size=2, max_size=30)
shares = st.floats(0.001, 0.9)
estimates = st.builds(LogRatio, st.floats(-1, 1), st.floats(1e-4, 1), st.floats(1.5, 60))


def spread_out(*samples: list[float]) -> None:
    """scipy loses digits where the spread is mostly rounding, and so would the comparison with it."""
    assume(all(np.log(sample).std(ddof=1) > 1e-6 for sample in samples))


@given(values=sides)
def test_the_geometric_interval_is_students_on_logs(values: list[float]) -> None:
    spread_out(values)

    found = statistics.geometric_mean(values)

    logs = np.log(values)
    low, high = stats.t.interval(0.95, len(values) - 1, logs.mean(), stats.sem(logs))
    assert found.mean == pytest.approx(stats.gmean(values))
    assert np.log([found.low, found.high]) == pytest.approx([low, high], rel=1e-9, abs=1e-9)
    assert found.n == len(values)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_arithmetic_interval_is_students(values: list[float]) -> None:
    assume(np.std(values, ddof=1) > 1e-3)

    found = statistics.mean(values)

    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-6)


@given(base=sides, candidate=sides)
def test_welch_is_scipys_on_logs(base: list[float], candidate: list[float]) -> None:
    spread_out(base, candidate)

    found = statistics.welch(base, candidate)

    expected = stats.ttest_ind(np.log(candidate), np.log(base), equal_var=False)
    assert found.df == pytest.approx(expected.df)
    assert statistics.p_beyond(found) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    interval = expected.confidence_interval(0.95)
    if abs(interval.low) < 700 and abs(interval.high) < 700:
        assert np.log(found.interval()) == pytest.approx([interval.low, interval.high], rel=1e-6, abs=1e-9)


@given(pairs=st.lists(st.tuples(positive, positive), min_size=2, max_size=30))
def test_paired_is_scipys_on_logs(pairs: list[tuple[float, float]]) -> None:
    base, candidate = ([pair[side] for pair in pairs] for side in (0, 1))
    spread_out([after / before for before, after in pairs])

    found = statistics.paired(base, candidate)

    expected = stats.ttest_rel(np.log(candidate), np.log(base))
    assert found.df == expected.df
    assert statistics.p_beyond(found) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.ratio == pytest.approx(stats.gmean(np.array(candidate) / np.array(base)))


@given(base=sides, candidate=sides, within=shares)
def test_equivalence_is_two_one_sided_tests_of_scipy(base: list[float], candidate: list[float], within: float) -> None:
    spread_out(base, candidate)

    found = statistics.p_equivalent(statistics.welch(base, candidate), within)

    logs = np.log(candidate), np.log(base)
    above = stats.ttest_ind(logs[0] - math.log(1 - within), logs[1], equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(logs[0] - math.log(1 + within), logs[1], equal_var=False, alternative="less").pvalue
    assert found == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)


@given(found=estimates, margin=st.floats(0, 0.9))
def test_beyond_a_margin_agrees_with_the_interval(found: LogRatio, margin: float) -> None:
    low, high = found.interval()

    is_beyond = statistics.p_beyond(found, margin) < 0.05

    edges = [abs(end / limit - 1) for end in (low, high) for limit in (1 - margin, 1 + margin)]
    assume(min(edges) > 1e-9)
    assert is_beyond == (low > 1 + margin or high < 1 - margin)


@given(found=estimates, margin=st.floats(0, 0.5), more=st.floats(0, 0.4))
def test_a_wider_margin_never_shows_more(found: LogRatio, margin: float, more: float) -> None:
    assert statistics.p_beyond(found, margin + more) >= statistics.p_beyond(found, margin) - 1e-12
    assert statistics.detectable(found, margin + more) >= statistics.detectable(found, margin) - 1e-12


@given(found=estimates, within=shares, noise=st.floats(0, 0.9))
def test_noise_never_makes_two_sides_more_equivalent(found: LogRatio, within: float, noise: float) -> None:
    assert statistics.p_equivalent(found, within, noise) >= statistics.p_equivalent(found, within) - 1e-12
    assert noise < within or statistics.p_equivalent(found, within, noise) == 1


def rejected_by_closure(ps: list[float], alpha: float) -> list[bool]:
    """Brute force: a hypothesis falls where Bonferroni rejects every intersection that it is part of."""
    indexes = range(len(ps))
    families = [family for size in range(1, len(ps) + 1) for family in itertools.combinations(indexes, size)]
    return [
        all(min(ps[i] for i in family) * len(family) < alpha for family in families if one in family) for one in indexes
    ]


@given(ps=st.lists(st.floats(0, 1), max_size=7), alpha=st.floats(0.001, 0.5))
def test_holm_rejects_what_closed_testing_rejects(ps: list[float], alpha: float) -> None:
    corrected = statistics.holm(ps)

    assume(all(abs(p - alpha) > 1e-12 for p in corrected))
    assert [p < alpha for p in corrected] == rejected_by_closure(ps, alpha)


@given(ps=st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_order_and_only_raises(ps: list[float]) -> None:
    corrected = statistics.holm(ps)

    assert all(before <= after <= 1 for before, after in zip(ps, corrected, strict=True))
    by_p = [corrected[i] for i in sorted(range(len(ps)), key=ps.__getitem__)]
    assert by_p == sorted(by_p)


@given(error=st.floats(1e-4, 0.5), df=st.floats(2, 100))
def test_the_detectable_difference_is_found_in_four_of_five(error: float, df: float) -> None:
    least = statistics.detectable(LogRatio(0.0, error, df))

    critical = stats.t.ppf(0.975, df)
    assert stats.nct.sf(critical, df, math.log1p(least) / error) == pytest.approx(0.8, abs=1e-4)


@given(pilot=st.lists(st.floats(0.8, 1.25), min_size=5, max_size=20), precision=st.floats(0.005, 0.5))
def test_repetitions_for_a_precision_are_steins(pilot: list[float], precision: float) -> None:
    spread_out(pilot)

    n = statistics.repetitions_for(pilot, precision)

    t, s = stats.t.ppf(0.975, len(pilot) - 1), np.log(pilot).std(ddof=1)
    assert n >= len(pilot)
    assert t * s / math.sqrt(n) <= math.log1p(precision) * (1 + 1e-9)
    assert n == len(pilot) or t * s / math.sqrt(n - 1) > math.log1p(precision) * (1 - 1e-9)


@settings(deadline=None)
@given(deviation=st.floats(0.005, 0.3), difference=st.floats(0.02, 0.5), n=st.integers(5, 20))
def test_pairs_for_a_difference_have_the_power_and_one_less_has_not(
    deviation: float, difference: float, n: int
) -> None:
    pairs = statistics.pairs_for(LogRatio(0.3, deviation / math.sqrt(n), n - 1), difference)

    def power(count: int) -> float:
        shift = math.log1p(difference) * math.sqrt(count) / deviation
        # Far beyond every doubt scipy's own noncentral t gives up.
        return 1.0 if shift > 30 else float(stats.nct.sf(stats.t.ppf(0.975, count - 1), count - 1, shift))

    assert power(pairs) >= 0.8 - 1e-6
    assert pairs == n or power(pairs - 1) < 0.8 + 1e-6


def test_pairs_that_are_to_be_enough_with_certainty_are_enough_after_four_of_five_pilots() -> None:
    generator = np.random.default_rng(6)
    true_deviation, wanted = 0.1, 0.1
    enough = {None: 0, 0.8: 0}
    for _ in range(400):
        pilot = generator.normal(0, true_deviation, 10)
        found = LogRatio(0.0, float(pilot.std(ddof=1)) / math.sqrt(10), 9)
        for certainty in enough:
            pairs = statistics.pairs_for(found, wanted, power=0.9, certainty=certainty)
            shift = math.log1p(wanted) * math.sqrt(pairs) / true_deviation
            enough[certainty] += float(stats.nct.sf(stats.t.ppf(0.975, pairs - 1), pairs - 1, shift)) >= 0.9

    assert enough[None] < 240
    assert enough[0.8] >= 300


def test_a_difference_far_beyond_every_doubt_needs_no_more_pairs_than_the_pilot() -> None:
    pilot = LogRatio(0.3, 0.031083324718426376 / math.sqrt(14), 13)

    assert statistics.pairs_for(pilot, 0.4453125) == 14


def test_the_interval_covers_the_true_ratio_in_nineteen_of_twenty() -> None:
    generator, true, trials, covered, false = np.random.default_rng(7), 1.1, 2_000, 0, 0
    for _ in range(trials):
        base = generator.lognormal(5, 0.03, 10)
        low, high = statistics.welch(base, generator.lognormal(5 + math.log(true), 0.06, 8)).interval()
        covered += low <= true <= high
        false += statistics.p_beyond(statistics.welch(base, generator.lognormal(5, 0.06, 8))) < 0.05

    assert stats.binomtest(covered, trials, 0.95).pvalue > 0.01
    assert stats.binomtest(false, trials, 0.05).pvalue > 0.01


def test_pairs_of_a_drifting_series_are_told_apart_where_independent_sides_are_not() -> None:
    generator = np.random.default_rng(3)
    drift = np.exp(np.linspace(0, 1, 20))
    base = drift * generator.lognormal(0, 0.01, 20)
    candidate = drift * generator.lognormal(math.log(0.95), 0.01, 20)

    assert statistics.p_beyond(statistics.paired(base, candidate)) < 1e-6
    assert statistics.p_beyond(statistics.welch(base, candidate)) > 0.05


@given(samples=st.lists(st.lists(positive, min_size=1, max_size=20), min_size=2, max_size=8), q=st.floats(0, 1))
def test_quantiles_are_taken_within_a_repetition_and_averaged_over_them(samples: list[list[float]], q: float) -> None:
    own = [float(np.quantile(one, q)) for one in samples]
    assume(np.std(own) > 1e-6 * np.mean(own))

    found = statistics.mean_of_quantiles(samples, q)

    assert found.mean == pytest.approx(np.mean(own))
    assert found.n == len(samples)
