"""The schedule of an open load: how many runs, when, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import make_plan
from pgflow_stress.scenario.schedule import Arrival, Stage, offsets_ns, parse_stages, scheduled_runs


def test_a_constant_schedule_is_evenly_spaced_and_full() -> None:
    offsets = offsets_ns((Stage(2.0, 50.0),), Arrival.CONSTANT, seed=1)

    assert len(offsets) == 100
    assert set(np.diff(offsets)) == {20_000_000}
    assert 0 <= offsets[0] < 20_000_000
    assert offsets[-1] < 2_000_000_000


def test_stages_follow_one_another() -> None:
    offsets = offsets_ns(parse_stages("1s:10, 2:100"), Arrival.CONSTANT, seed=1)

    assert np.count_nonzero(offsets < 1e9) == 10
    assert np.count_nonzero(offsets >= 1e9) == 200
    assert (np.diff(offsets) > 0).all()


def test_poisson_gaps_are_exponential_and_the_seeds_own() -> None:
    stages = (Stage(100.0, 100.0),)
    offsets = offsets_ns(stages, Arrival.POISSON, seed=7)

    assert stats.kstest(np.diff(offsets) / 1e9, stats.expon(0, 0.01).cdf).pvalue > 0.001
    assert abs(len(offsets) - 10_000) < 500
    assert (offsets == offsets_ns(stages, Arrival.POISSON, seed=7)).all()
    assert len(offsets) != len(offsets_ns(stages, Arrival.POISSON, seed=8))


@pytest.mark.parametrize(
    "text", ["", "30s", "30s:", ":5", "0s:5", "5s:0", "5s:-1", "x:1", "1:nan", "1:inf", "1:5,,2:5"]
)
def test_stages_that_do_not_parse_are_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="--stages"):
        parse_stages(text)


def test_a_schedule_of_too_many_or_no_runs_is_refused() -> None:
    with pytest.raises(UsageFault, match="at most"):
        scheduled_runs((Stage(1e6, 1e6),), Arrival.CONSTANT, 1)
    with pytest.raises(UsageFault, match="no run"):
        scheduled_runs((Stage(0.1, 1.0),), Arrival.CONSTANT, 1)


@pytest.mark.parametrize("arrival", list(Arrival))
def test_without_a_duration_the_runs_bound_the_schedule(arrival: Arrival) -> None:
    options = RunOptions(workers=1, runs=300, stages=(Stage(1.0, 20.0),), arrival=arrival)
    plan = make_plan("concurrent-flows", options)

    assert (plan.load_model, plan.runs, len(plan.schedule_ns())) == ("open", 300, 300)
    assert plan.options.stages == (Stage(15.0, 20.0),)


def test_a_duration_bounds_the_runs() -> None:
    options = RunOptions(workers=1, stages=(Stage(3.0, 20.0),), duration_seconds=3.0)
    plan = make_plan("concurrent-flows", options)

    assert (plan.runs, plan.starters) == (60, 2)


def test_a_closed_load_has_room_for_what_its_duration_may_start() -> None:
    plan = make_plan("concurrent-flows", RunOptions(workers=1, in_flight=3, duration_seconds=10.0))

    assert (plan.load_model, plan.starters) == ("closed", 3)
    assert plan.runs >= 5_000
    assert plan.schedule_ns() is None


def test_a_drained_backlog_has_no_starters() -> None:
    plan = make_plan("single-flow", RunOptions(workers=1))

    assert (plan.load_model, plan.starters, plan.schedule_ns()) == ("backlog-drain", 0, None)
