"""pgflow's events by number: what one run can emit, and where each event has its place.

A run of n steps has 3 + 4 n places, one an event of its own name: run:started, run:completed, run:failed, then for each
step started, completed, failed, skipped. The extension has the same numbers (ext/pgflow_stress_hot/layout.pxd).
"""

from __future__ import annotations

from enum import IntEnum

RUN_PLACES = 3
STEP_PLACES = 4


class EventKind(IntEnum):
    """What happened; the value is the order of the places."""

    RUN_STARTED = 0
    RUN_COMPLETED = 1
    RUN_FAILED = 2
    STEP_STARTED = 3
    STEP_COMPLETED = 4
    STEP_FAILED = 5
    STEP_SKIPPED = 6


# As the result names them: `step:completed`, without the step's slug.
EVENT_TYPES = tuple(kind.name.lower().replace("_", ":", 1) for kind in EventKind)


def places_per_run(steps: int) -> int:
    """Places of one run of a flow with this many steps."""
    return RUN_PLACES + STEP_PLACES * steps


def place_in_run(kind: EventKind, step: int = 0) -> int:
    """Where a run's event has its place; `step` is an index, of no meaning to a run's own events."""
    return int(kind) if kind < RUN_PLACES else RUN_PLACES + STEP_PLACES * step + int(kind) - RUN_PLACES


def kind_at(place: int) -> EventKind:
    """The kind of the event at a place of its run."""
    return EventKind(place if place < RUN_PLACES else RUN_PLACES + (place - RUN_PLACES) % STEP_PLACES)


def step_at(place: int) -> int:
    """The index of the step at a place of its run; -1 for a run's own event."""
    return -1 if place < RUN_PLACES else (place - RUN_PLACES) // STEP_PLACES
