"""Growth, scalability and ranks against curves whose parameters are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgflow_stress.analysis.growth import MODELS, Shown, growth
from pgflow_stress.analysis.ranking import rank
from pgflow_stress.analysis.scalability import scalability
from pgflow_stress.analysis.sweeping import Line, Point, Scaling, scaling

SIZES = np.repeat([100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0], 5)
BACKENDS = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0], 4)
RATE = "process.per_second"


@pytest.mark.parametrize(("model", "a", "b"), [("n", 1e6, 300.0), ("n log n", 1e5, 30.0), ("n²", 1e6, 0.5)])
def test_parameters_lie_in_their_intervals_as_often_as_these_say(model: str, a: float, b: float) -> None:
    generator = np.random.default_rng(1)
    chosen = a_inside = b_inside = 0
    for _ in range(300):
        found = growth(SIZES, (a + b * MODELS[model](SIZES)) * np.exp(generator.normal(0, 0.05, len(SIZES))))
        if found.model != model or found.b is None:
            continue
        chosen += 1
        a_inside += found.a.low <= a <= found.a.high
        b_inside += found.b.low <= b <= found.b.high

    assert chosen >= 270
    assert a_inside >= 0.9 * chosen
    assert b_inside >= 0.9 * chosen


def test_a_cost_that_does_not_grow_is_called_flat_and_one_that_does_is_not() -> None:
    generator = np.random.default_rng(2)
    flat = growing = 0
    for _ in range(100):
        noise = np.exp(generator.normal(0, 0.08, len(SIZES)))
        flat += growth(SIZES, 1e6 * noise).shown is Shown.FLAT
        growing += growth(SIZES, (1e6 + 300 * SIZES) * noise).shown is Shown.GROWS

    assert flat >= 95
    assert growing == 100


@given(
    st.floats(1, 1e9),
    st.sampled_from(["n", "n log n", "n²"]),
    st.floats(0.01, 100),
)
@settings(max_examples=50, deadline=None)
def test_without_noise_the_curve_is_found(a: float, model: str, share: float) -> None:
    g = MODELS[model](SIZES)
    b = a * share / g.min()

    found = growth(SIZES, a + b * g)

    assert found.model == model
    assert found.b is not None
    assert found.b.value == pytest.approx(b, rel=1e-3)


@pytest.mark.parametrize(
    ("sizes", "costs", "why"),
    [
        ([1, 2], [1, 1], "2 sizes"),
        ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], "1 size: "),
        ([1, 2, 3], [1, 2, 3], "3 values"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 0], "a value is 0"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, math.nan], "a value is nan"),
        ([0, 2, 3, 4, 5], [1, 2, 3, 4, 5], "a value is 0"),
        ([1, 2, 3], [1, 2], "3 sizes and 2 costs"),
    ],
)
def test_what_shows_no_growth_is_said(sizes: list[float], costs: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        growth(sizes, costs)


def test_sigma_and_kappa_lie_in_their_intervals_in_nine_of_ten() -> None:
    generator = np.random.default_rng(3)
    inside = [0, 0]
    for _ in range(60):
        rates = 100 * BACKENDS / (1 + 0.05 * (BACKENDS - 1) + 8e-4 * BACKENDS * (BACKENDS - 1))
        found = scalability(BACKENDS, rates * np.exp(generator.normal(0, 0.05, len(BACKENDS))))
        inside[0] += found.sigma.low <= 0.05 <= found.sigma.high
        inside[1] += found.kappa.low <= 8e-4 <= found.kappa.high

    assert min(inside) >= 54


def test_a_forecast_goes_no_further_than_twice_what_was_measured() -> None:
    found = scalability(BACKENDS, 100 * BACKENDS / (1 + 0.02 * (BACKENDS - 1)))

    assert found.forecast(64).value == pytest.approx(6400 / (1 + 0.02 * 63), rel=1e-3)
    with pytest.raises(ValueError, match="more than 2 x the 32"):
        found.forecast(65)


def test_five_points_show_no_law() -> None:
    with pytest.raises(ValueError, match="5 points: the law takes 6"):
        scalability([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])


def test_the_best_of_24_equal_cells_is_a_tie() -> None:
    generator = np.random.default_rng(4)
    ties = 0
    for _ in range(20):
        rounds = generator.normal(0, 0.2, 5)  # what moves a round moves all of it
        cells = {cell: list(np.exp(rounds + generator.normal(0, 0.05, 5))) for cell in range(24)}
        ties += len(rank(cells, higher_is_better=True).ties) > 1

    assert ties >= 19


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_cell_that_is_far_better_has_no_tie(higher_is_better: bool) -> None:
    generator = np.random.default_rng(5)
    factor = 1.5 if higher_is_better else 1 / 1.5
    cells = {cell: list((factor if cell == 7 else 1) * np.exp(generator.normal(0, 0.03, 5))) for cell in range(10)}

    found = rank(cells, higher_is_better=higher_is_better)

    assert found.ties == (7,)
    assert found.order[0] == 7


def test_points_that_ran_out_of_cores_or_of_runs_are_no_part_of_the_law() -> None:
    sizes = (1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 64.0)
    rates = {n: 100 * n / (1 + 0.05 * (n - 1)) for n in sizes}

    def law(runs: int, busy_from: float) -> Scaling | None:
        points = [
            Point(cell, (f"{n:g}",), (n,), {RATE: (rates[n], 1.01 * rates[n])}, 0.99 if n >= busy_from else 0.5, runs)
            for cell, n in enumerate(sizes)
        ]
        return scaling(Line("workers", (), tuple(points), sizes), RATE)

    whole, few, busy = law(64, 100), law(1, 100), law(32, 16)

    assert whole is not None and whole.law is not None
    assert whole.law.largest == pytest.approx(64)
    assert whole.law.sigma.value == pytest.approx(0.05, abs=0.005)
    assert few is not None and few.law is None
    assert few.reason == "1 point of 8 (7 had fewer runs than workers: tasks of one run queue for it); the law takes 6"
    assert busy is not None and busy.exhausted == (16, 24, 32, 64)
    assert busy.reason.startswith("4 points of 8 (4 ran out of cores; 1 had fewer runs")
