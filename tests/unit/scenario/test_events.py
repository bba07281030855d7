"""What a run emits, as pgflow's documentation of events counts it."""

from __future__ import annotations

import pytest

from pgflow_stress.core.events import EventKind, place_in_run
from pgflow_stress.scenario.events import completed_run_places, events_per_run, started_with_run
from pgflow_stress.scenario.flow import FlowShape, Step, independent_steps

CHAIN = FlowShape(tuple(Step(f"c{index}", (index - 1,) if index else ()) for index in range(60)))
EMPTY_MAP = FlowShape((Step("map", (), "map", 0), Step("sum", (0,))))


@pytest.mark.parametrize(
    ("shape", "events", "at_start"),
    [
        (independent_steps(1), 4, 2),
        (independent_steps(50), 102, 51),
        (CHAIN, 122, 2),
        (FlowShape((Step("map", (), "map", 5),)), 4, 2),
        (EMPTY_MAP, 5, 2),
    ],
)
def test_a_completed_run_has_two_events_and_two_a_step_less_the_empty_maps(
    shape: FlowShape, events: int, at_start: int
) -> None:
    assert events_per_run(shape) == events
    assert started_with_run(shape) == at_start


def test_an_empty_map_only_completes() -> None:
    places = completed_run_places(EMPTY_MAP)

    assert not places[place_in_run(EventKind.STEP_STARTED, 0)]
    assert places[place_in_run(EventKind.STEP_COMPLETED, 0)]
    assert not any(places[place_in_run(kind, 1)] for kind in (EventKind.STEP_FAILED, EventKind.STEP_SKIPPED))
    assert not places[place_in_run(EventKind.RUN_FAILED)]
