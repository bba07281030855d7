"""How `run --full` sizes a plan: by a pilot's rate and cycles, never below what was asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.cli import full
from pgflow_stress.core.phase import nothing
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from tests.fixtures.results import build_repetition

LIMITS = Limits()


def plan_of(scenario: str, **options: int) -> Plan:
    return make_plan(scenario, RunOptions(workers=2, **options))  # type: ignore[arg-type]


def pilot_at(tasks: int, seconds: float, cycles: int) -> full.Pilot:
    return full.Pilot(tasks=tasks, seconds=seconds, window_seconds=seconds + 0.5, around_seconds=1.5, cycles=cycles)


def test_a_scenario_of_steps_gets_more_steps_and_one_of_runs_more_runs() -> None:
    steps = full.sized(plan_of("single-flow"), pilot_at(800, 1.0, 40), LIMITS)
    runs = full.sized(plan_of("concurrent-flows"), pilot_at(800, 0.5, 80), LIMITS)

    assert (len(steps.shape.steps), steps.runs, steps.flows) == (9_600, 1, 1)
    assert (len(runs.shape.steps), runs.runs, runs.flows) == (10, 1_920, 80)


def test_the_phase_lasts_as_long_as_the_rule_and_a_fifth_at_the_pilots_rate() -> None:
    limits = Limits(min_phase_seconds=30)

    sized = full.sized(plan_of("single-flow"), pilot_at(800, 1.0, 800), limits)

    assert sized.expected_tasks / 800 == pytest.approx(36)


def test_cycles_can_ask_for_more_than_seconds_do() -> None:
    sized = full.sized(plan_of("single-flow"), pilot_at(800, 8.0, 8), LIMITS)  # 100 tasks a statement

    assert sized.expected_tasks == math.ceil(1.2 * 200 * 2 * 100)


def test_what_is_long_enough_stays_as_it_is() -> None:
    plan = plan_of("single-flow", steps=50_000)

    assert full.sized(plan, pilot_at(50_000, 40.0, 2_500), LIMITS).expected_tasks == 50_000


@pytest.mark.parametrize("scenario", ["single-flow", "concurrent-flows"])
def test_whatever_the_pilot_shows_the_plan_fits_the_room_that_was_made(scenario: str) -> None:
    plan = plan_of(scenario)
    room = full.room_plan(plan, LIMITS)

    for pilot in (pilot_at(800, 1e-4, 1), pilot_at(800, 0.01, 40), pilot_at(800, 5.0, 1)):
        sized = full.sized(plan, pilot, LIMITS)
        assert sized.expected_tasks <= room.expected_tasks
        assert (sized.flows, sized.options.repetitions) == (plan.flows, plan.options.repetitions)


def test_a_pilot_is_one_repetition_that_nothing_is_compared_with() -> None:
    plan = make_plan("single-flow", RunOptions(workers=2, events="wal", observer_cost=True, repetitions=5))

    pilot = full.pilot_plan(plan)

    assert (pilot.repetitions, pilot.expected_tasks, pilot.observes(0)) == (1, 800, True)


def test_what_a_pilot_showed_is_taken_from_its_repetition() -> None:
    repetition = build_repetition(0, process_seconds=12)

    pilot = full.pilot_of(repetition, 20.0)

    assert pilot is not None
    assert (pilot.tasks, pilot.cycles) == (20_000, 1_000)
    assert pilot.around_seconds == pytest.approx(5.0)
    assert pilot.as_json()["process_per_second"] == pytest.approx(20_000 / 12)
    empty = replace(repetition, phases={**repetition.phases, "process": nothing()})
    assert full.pilot_of(empty, 20.0) is None


def test_how_long_it_takes_is_told_in_one_line() -> None:
    plan = plan_of("single-flow")
    pilot = pilot_at(800, 1.0, 800)
    sized = full.sized(plan, pilot, LIMITS)
    seconds = full.expected_seconds(plan, sized, pilot)

    assert seconds == pytest.approx(6 * (1.5 + 1.5 * 12))
    assert full.announcement([(sized, seconds)]) == (
        "full: about 2 min, at the rates of the pilots: single-flow 6 repetitions of 9,600 tasks"
    )
    assert full.announcement([(sized, 45.2)]).startswith("full: about 46 s,")
    assert full.announcement([(sized, 7_300)]).startswith("full: about 2 h 2 min,")
