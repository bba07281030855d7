"""analysis.series against closed forms and simulated series with a fixed seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pgflow_stress.analysis import series, statistics

values_of_a_window = st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=120)


def dependent(n: int, correlation: float, generator: np.random.Generator) -> statistics.Floats:
    """An autoregressive series of order 1 with mean 10 and deviation 1, float64[n]."""
    shocks = generator.normal(0, math.sqrt(1 - correlation**2), n)
    values = np.empty(n)
    values[0] = generator.normal()
    for i in range(1, n):
        values[i] = correlation * values[i - 1] + shocks[i]
    return values + 10


@given(values=values_of_a_window, count=st.integers(2, 20))
def test_batch_means_are_the_interval_of_the_batches(values: list[float], count: int) -> None:
    length = len(values) // count
    own = [float(np.mean(values[i * length : (i + 1) * length])) for i in range(count)]
    assume(np.std(own) > 1e-3)

    found = series.batch_means(values, count)

    low, high = stats.t.interval(0.95, count - 1, np.mean(own), stats.sem(own))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    assert found.n == count


@given(values=values_of_a_window, lag=st.integers(1, 19))
def test_the_autocorrelation_is_its_definition(values: list[float], lag: int) -> None:
    assume(np.std(values) > 1e-3)
    assume(lag < len(values))
    centred = np.array(values) - np.mean(values)

    expected = float((centred[:-lag] * centred[lag:]).sum() / (centred**2).sum())

    assert series.autocorrelation(values, lag) == pytest.approx(expected, abs=1e-9)


@given(values=values_of_a_window)
def test_the_effective_number_is_never_above_the_number(values: list[float]) -> None:
    assume(np.std(values) > 1e-3)

    found = series.dependence(values)

    assert 0 < found.effective_n <= found.n == len(values)
    assert -1 <= found.lag_1 <= 1


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_effective_number_of_an_autoregressive_series_is_the_closed_form(correlation: float) -> None:
    n = 20_000

    found = series.dependence(dependent(n, correlation, np.random.default_rng(5)))

    assert found.effective_n == pytest.approx(n * (1 - correlation) / (1 + correlation), rel=0.15)
    assert found.lag_1 == pytest.approx(correlation, abs=0.03)


def test_batches_and_blocks_cover_a_dependent_mean_where_single_values_do_not() -> None:
    generator, trials = np.random.default_rng(11), 200
    covered = {"batches": 0, "blocks": 0, "values": 0}
    for _ in range(trials):
        values = dependent(2_000, 0.6, generator)
        for name, found in (
            ("batches", series.batch_means(values)),
            ("blocks", series.block_bootstrap(values, 50, resamples=1_000)),
            ("values", statistics.mean(values)),
        ):
            covered[name] += found.low <= 10 <= found.high

    assert covered["batches"] / trials > 0.91
    assert covered["blocks"] / trials > 0.88  # short by nature: the last of its interval comes with longer blocks
    assert covered["values"] / trials < 0.80


@given(values=values_of_a_window)
def test_the_bootstrap_holds_the_mean_and_lies_within_the_values(values: list[float]) -> None:
    assume(np.std(values) > 1e-3)

    found = series.bootstrap(values, resamples=1_000)

    assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6
    assert found == series.bootstrap(values, resamples=1_000)


@pytest.mark.parametrize(("n", "block"), [(24, 1), (27, None), (25, 4), (31, 15)])
def test_the_bootstraps_spread_is_that_of_blocks_put_together(n: int, block: int | None) -> None:
    values = np.random.default_rng(4).lognormal(0, 1, n)
    length = block or 3  # the cube root of 27
    generator, means = np.random.default_rng(9), []
    for _ in range(4_000):
        starts = generator.integers(0, n - length + 1, math.ceil(n / length))
        means.append(np.concatenate([values[start : start + length] for start in starts])[:n].mean())

    found = series.block_bootstrap(values, block, resamples=4_000)

    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_the_bootstrap_covers_a_mean_about_as_often_as_it_says() -> None:
    generator, trials = np.random.default_rng(2), 200

    found = [series.bootstrap(generator.exponential(1.0, 40), seed, resamples=1_000) for seed in range(trials)]

    assert 0.88 <= sum(one.low <= 1 <= one.high for one in found) / trials <= 0.98
