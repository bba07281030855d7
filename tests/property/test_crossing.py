"""The monotone fit: exact on a line, within the windows, honest about its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.analysis.crossing import Point, crossing

RATES = st.floats(1, 1_000)


def line(rates: list[float], limit: float, slope: float, noise: list[float] | None = None) -> list[Point]:
    offs = noise or [0.0] * len(rates)
    excesses = [slope * math.log(rate / limit) + off for rate, off in zip(rates, offs, strict=True)]
    return [Point(rate, excess <= 0, excess) for rate, excess in zip(rates, excesses, strict=True)]


@given(limit=st.floats(10, 500), slope=st.floats(0.5, 30))
def test_a_straight_line_is_crossed_exactly_where_it_is_zero(limit: float, slope: float) -> None:
    rates = [limit * factor for factor in (0.85, 0.9, 0.96, 1.02, 1.07, 1.13)]

    found = crossing(line(rates, limit, slope))

    assert found is not None
    assert found.method == "line"
    assert found.per_second == pytest.approx(limit, rel=1e-6)
    assert found.low <= found.per_second * (1 + 1e-9)
    assert found.high >= found.per_second * (1 - 1e-9)


@given(st.lists(st.tuples(RATES, st.one_of(st.none(), st.floats(-3, 3)), st.booleans()), max_size=12))
def test_a_crossing_lies_between_the_windows_that_were_measured(
    drawn: list[tuple[float, float | None, bool]],
) -> None:
    points = [Point(rate, held, excess) for rate, excess, held in drawn]

    found = crossing(points)

    if len({point.held for point in points}) < 2:
        assert found is None
        return
    assert found is not None
    rates = [point.per_second for point in points]
    assert min(rates) * (1 - 1e-9) <= found.per_second <= max(rates) * (1 + 1e-9)
    assert found.low <= found.per_second * (1 + 1e-9)
    assert found.high >= found.per_second * (1 - 1e-9)


def test_where_only_outcomes_say_it_half_of_the_windows_hold_there() -> None:
    points = [Point(rate, rate < 100, None) for rate in (80.0, 90.0, 95.0, 105.0, 110.0, 120.0)]

    found = crossing(points)

    assert found is not None
    assert found.method == "outcomes"
    assert [found.low, found.high] == pytest.approx([95, 105])
    assert 95 < found.per_second < 105


def test_a_latency_that_does_not_say_what_held_is_not_fitted() -> None:
    points = [*line([80, 90, 95, 99], 100, 5), Point(110, False, -0.1), Point(120, False, -0.05)]

    found = crossing(points)

    assert found is not None
    assert found.method == "outcomes"
    assert 99 <= found.per_second <= 110


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    rates = [100 * factor for factor in np.linspace(0.9, 1.1, 10)]
    inside = fitted = 0
    for _ in range(400):
        found = crossing(line(rates, 100, 5, [float(off) for off in generator.normal(0, 0.15, 10)]))
        if found is not None and found.method == "line":
            fitted += 1
            inside += found.low <= 100 <= found.high

    assert fitted > 390
    assert inside / fitted > 0.9
