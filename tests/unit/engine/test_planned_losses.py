"""What a fault ends is no surprise, whichever of several faults it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.engine.crew import Crew
from pgflow_stress.engine.faults.base import Blow, Ground
from pgflow_stress.scenario.faults import Strike, parse_fault


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Over a crew of nobody."""
    arena = Arena(ArenaSize(processes=1, flows=1, runs=1, tasks=1, rows=1))
    yield Ground(arena, Crew(arena, None, None, []), "", "", "1 0", None)  # type: ignore[arg-type]
    arena.close()


def _blow(text: str) -> Blow:
    return Blow(Strike(parse_fault(text), 1, 1.0))


def test_a_strike_that_took_no_hold_leaves_what_another_has_planned(ground: Ground) -> None:
    missed, held = _blow("kill-backend@1s"), _blow("restart@1s")
    ground.plan(missed, {7})
    ground.plan(held, {7, 8})

    ground.crew.unplan(missed.planned)

    assert ground.crew.is_planned(7)
    assert ground.crew.is_planned(8)


def test_a_backend_that_no_strike_ended_is_planned_by_none(ground: Ground) -> None:
    missed = _blow("kill-backend@1s")
    ground.plan(missed, {7})
    ground.plan(missed, {7})

    ground.crew.unplan(missed.planned)

    assert not ground.crew.is_planned(7)
