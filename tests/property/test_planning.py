"""The arithmetic of a plan: linear in its rate, inside its intervals, absent with a reason."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.analysis.costs import Cost, cost, next_value
from pgflow_stress.analysis.planning import Figure, Wish, figures, quotas

NAMES = ("server_cpu_ns", "client_cpu_ns", "wal_bytes", "xids", "growth_bytes", "executing_ns", "hold_ns")
values = st.floats(1e-3, 1e9)
groups = st.lists(st.lists(values, min_size=2, max_size=6), min_size=1, max_size=3)
rates = st.floats(1e-3, 1e6)


def planned(runs_per_second: float, tasks_per_run: float, costs: dict[str, Cost]) -> dict[str, Figure]:
    return {one.name: one for one in figures(Wish(runs_per_second, tasks_per_run, 12.0), costs)}


@given(rate=rates, tasks=st.floats(1, 1e5), measured=groups)
def test_every_figure_lies_in_its_interval(rate: float, tasks: float, measured: list[list[float]]) -> None:
    found = planned(rate, tasks, {name: cost(name, measured) for name in NAMES})

    for one in found.values():
        if one.interval is not None:
            assert one.value is not None
            assert one.interval[0] <= one.value * (1 + 1e-9)
            assert one.value <= one.interval[1] * (1 + 1e-9)


@given(rate=rates, factor=st.floats(0.01, 100), measured=groups)
def test_figures_are_linear_in_the_rate_but_for_what_one_run_can_and_days(
    rate: float, factor: float, measured: list[list[float]]
) -> None:
    costs = {name: cost(name, measured) for name in NAMES}

    once, more = planned(rate, 5, costs), planned(rate * factor, 5, costs)

    for name, one in once.items():
        other = more[name]
        assert one.value is not None and other.value is not None
        power = {"most_tasks_per_second_of_one_run": 0, "days_to_freeze": -1}.get(name, 1)
        assert other.value == pytest.approx(one.value * factor**power, rel=1e-9)


@given(measured=groups)
def test_more_groups_never_narrow_an_interval(measured: list[list[float]]) -> None:
    whole = cost("x", measured)
    for group in measured:
        part = cost("x", [group])
        if whole.interval is not None and part.interval is not None:
            assert whole.interval[0] <= part.interval[0]
            assert part.interval[1] <= whole.interval[1]


@given(measured=st.lists(values, min_size=1, max_size=6))
def test_the_order_of_repetitions_is_nothing(measured: list[float]) -> None:
    once, again = cost("x", [measured]), cost("x", [measured[::-1]])

    assert once.estimate == pytest.approx(again.estimate)


@pytest.mark.parametrize("measured", [[], [[]], [[None, None]], [[0.0, 1.0]], [[-1.0]], [[math.nan]], [[math.inf]]])
def test_a_cost_that_is_none_has_a_reason_and_so_have_its_figures(measured: list[list[float | None]]) -> None:
    missing = cost("wal_bytes", measured)
    costs = {name: cost(name, [[1.0, 2.0]]) for name in NAMES} | {"wal_bytes": missing}

    found = planned(10, 5, costs)

    assert missing.estimate is None and missing.reason
    assert found["wal_gb_per_day"].value is None and found["wal_gb_per_day"].reason
    assert found["server_cores"].value is not None


def test_one_repetition_has_an_estimate_and_no_interval() -> None:
    found = cost("x", [[3.0, 4.0], [5.0]])

    assert found.estimate is not None
    assert found.interval is None and found.reason


def test_a_new_value_lies_in_the_interval_as_often_as_it_says() -> None:
    drawn = random.Random(7)
    held = 0
    for _ in range(2000):
        sample = [math.exp(drawn.gauss(2, 0.3)) for _ in range(6)]
        ends = next_value(sample[:5])
        assert ends is not None
        held += ends[0] <= sample[5] <= ends[1]

    assert 0.93 <= held / 2000 <= 0.97


def test_a_plan_is_what_it_is_by_hand() -> None:
    costs = {name: cost(name, [[1e6, 1e6]]) for name in NAMES} | {"xids": cost("xids", [[2.0, 2.0]])}

    found = planned(100, 5, costs)

    assert found["tasks_per_second"].value == 500
    assert found["server_cores"].value == pytest.approx(0.5)
    assert found["wal_gb_per_day"].value == pytest.approx(500 * 1e6 * 86400 / 1e9)
    assert found["days_to_freeze"].value == pytest.approx(200e6 / (1000 * 86400))
    assert found["most_tasks_per_second_of_one_run"].value == pytest.approx(1000)
    assert found["events_per_second"].value == 1200
    assert [one.fits for one in quotas(Wish(100, 5, 12.0))] == [False, False, True]
