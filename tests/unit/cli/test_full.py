"""How `run --full` sizes a plan: by a pilot's rate and cycles, never below what was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.cli import full
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.phase import nothing
from pgflow_stress.scenario.options import Mode, RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from tests.fixtures.results import build_repetition

LIMITS = Limits()


def plan_of(scenario: str, **options: int) -> Plan:
    return make_plan(scenario, RunOptions(workers=2, **options))  # type: ignore[arg-type]


def pilot_at(tasks: int, seconds: float) -> full.Pilot:
    return full.Pilot(tasks=tasks, seconds=seconds, window_seconds=seconds + 0.5, around_seconds=1.5)


def test_a_scenario_of_steps_gets_more_steps_and_one_of_runs_more_runs() -> None:
    steps = full.sized(plan_of("single-flow"), pilot_at(800, 0.8), LIMITS)
    runs = full.sized(plan_of("concurrent-flows"), pilot_at(800, 0.5), LIMITS)

    assert (len(steps.shape.steps), steps.runs, steps.flows) == (15_000, 1, 1)
    assert (len(runs.shape.steps), runs.runs, runs.flows) == (10, 2_400, 80)


def test_the_phase_lasts_as_long_as_the_rule_and_half_of_it_at_the_pilots_rate() -> None:
    limits = Limits(min_phase_seconds=30)

    sized = full.sized(plan_of("single-flow"), pilot_at(800, 1.0), limits)

    assert sized.expected_tasks / 800 == pytest.approx(45)


def test_cycles_can_ask_for_more_than_seconds_do() -> None:
    batched = full.sized(plan_of("single-flow"), pilot_at(800, 8.0), LIMITS)  # 20 tasks a statement
    single = make_plan("single-flow", RunOptions(workers=2, completion=Mode.SINGLE))

    assert batched.expected_tasks == 1.5 * 200 * 2 * 20
    assert full.sized(single, pilot_at(800, 8.0), LIMITS).expected_tasks == 1.5 * 10 * 100


def test_what_is_long_enough_stays_as_it_is() -> None:
    plan = plan_of("single-flow", steps=50_000)

    assert full.sized(plan, pilot_at(50_000, 40.0), LIMITS).expected_tasks == 50_000


@pytest.mark.parametrize("scenario", ["single-flow", "concurrent-flows"])
def test_whatever_the_pilot_shows_the_plan_fits_the_room_that_was_made(scenario: str) -> None:
    plan = plan_of(scenario)
    room = full.room_plan(plan, LIMITS)

    for pilot in (pilot_at(800, 1e-4), pilot_at(800, 0.01), pilot_at(800, 5.0)):
        sized = full.sized(plan, pilot, LIMITS)
        assert sized.expected_tasks <= room.expected_tasks
        assert (sized.flows, sized.options.repetitions) == (plan.flows, plan.options.repetitions)


def test_only_a_drained_backlog_is_sized() -> None:
    with pytest.raises(UsageFault, match="--full sizes a drained backlog, and this load is open"):
        full.room_plan(replace(plan_of("single-flow"), load_model="open"), LIMITS)


def test_a_pilot_is_two_repetitions_that_nothing_is_compared_with() -> None:
    plan = make_plan("single-flow", RunOptions(workers=2, events="wal", observer_cost=True, repetitions=5))

    pilot = full.pilot_plan(plan)

    assert (pilot.repetitions, pilot.expected_tasks, pilot.observes(1)) == (2, 800, True)


def test_the_faster_of_a_pilots_repetitions_counts() -> None:
    slow, fast = build_repetition(0, process_seconds=20), build_repetition(1, process_seconds=12)

    pilot = full.pilot_of([slow, fast], 48.0)

    assert pilot is not None
    assert pilot.tasks == 20_000
    assert pilot.seconds == pytest.approx(12)
    assert pilot.around_seconds == pytest.approx(5.0)
    assert pilot.as_json()["process_per_second"] == pytest.approx(20_000 / 12)
    empty = replace(slow, phases={**slow.phases, "process": nothing()})
    assert full.pilot_of([empty, fast], 48.0) == pilot
    assert full.pilot_of([empty], 20.0) is None
    assert full.pilot_of([], 1.0) is None


def test_how_long_it_takes_is_told_in_one_line() -> None:
    plan = plan_of("single-flow")
    pilot = pilot_at(800, 1.0)
    sized = full.sized(plan, pilot, LIMITS)
    seconds = full.expected_seconds(plan, sized, pilot)

    assert seconds == pytest.approx(6 * (1.5 + 1.5 * 15))
    assert full.announcement([(sized, seconds)]) == (
        "full: about 3 min, at the rates of the pilots: single-flow 6 repetitions of 12,000 tasks"
    )
    assert full.announcement([(sized, 45.2)]).startswith("full: about 46 s,")
    assert full.announcement([(sized, 7_300)]).startswith("full: about 2 h 2 min,")
