"""The series out of the arena's rows: every completion in its bin, or none at all."""

from __future__ import annotations

import numpy as np
import pytest

from pgflow_stress.core.arena import Arena, ArenaSize, Word
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.phase import nothing, phase
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress.core.result import Latency, Phase
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.engine.completion_series import completion_series

ORIGIN_NS = 7 * NS_PER_SECOND
BEGIN_NS = ORIGIN_NS + NS_PER_SECOND


@pytest.fixture
def arena() -> Arena:
    return Arena(ArenaSize(processes=2, flows=1, runs=1, tasks=64, rows=64))


def put(arena: Arena, process: int, at_ms: int, operation: int = Operation.TASK, status: int = Status.OK) -> None:
    row = int(arena.words[process, Word.ROWS])
    rows = arena.row_bytes(process).view(EVENT_DTYPE)
    rows[row]["done_ns"] = BEGIN_NS + at_ms * NS_PER_MS
    rows[row]["operation"] = operation
    rows[row]["status"] = status
    arena.words[process, Word.ROWS] = row + 1


def process_of(seconds: float, count: int) -> Phase:
    to_ns = NS_PER_SECOND + int(seconds * NS_PER_SECOND)
    return phase(NS_PER_SECOND, to_ns, count, seconds + 1, Latency())


def test_completions_of_all_workers_are_in_the_bin_of_their_answer(arena: Arena) -> None:
    for process, at_ms in ((0, 10), (0, 49), (1, 51), (0, 120), (1, 200)):
        put(arena, process, at_ms)
    put(arena, 0, 130, Operation.COMPLETE)
    put(arena, 0, 130, Operation.TASK, Status.FAILED)
    put(arena, 1, 160, Operation.TASK, Status.ADOPTED)
    arena.words[:, Word.FIRST_IDLE_NS] = (BEGIN_NS + 180 * NS_PER_MS, BEGIN_NS + 150 * NS_PER_MS)

    series = completion_series(arena, process_of(0.2, 6), ORIGIN_NS, drains=True)

    assert series == {
        "bin_seconds": pytest.approx(0.05),
        "completed": [2, 1, 1, 2],
        "first_idle_seconds": pytest.approx(0.15),
        "complete": True,
    }


def test_a_long_phase_has_a_hundred_bins_and_a_short_one_at_least_one(arena: Arena) -> None:
    put(arena, 0, 1)

    assert len(completion_series(arena, process_of(60, 1), ORIGIN_NS, drains=True)["completed"]) == 100
    assert completion_series(arena, process_of(0.02, 1), ORIGIN_NS, drains=True)["completed"] == [1]


@pytest.mark.parametrize("idle_ms", [0, -5, 200, 900])
def test_who_was_idle_outside_the_phase_was_not_idle_in_it(arena: Arena, idle_ms: int) -> None:
    put(arena, 0, 10)
    arena.words[0, Word.FIRST_IDLE_NS] = BEGIN_NS + idle_ms * NS_PER_MS if idle_ms else 0

    assert completion_series(arena, process_of(0.2, 1), ORIGIN_NS, drains=True)["first_idle_seconds"] is None


def test_where_runs_are_started_meanwhile_idling_is_no_end(arena: Arena) -> None:
    put(arena, 0, 10)
    arena.words[0, Word.FIRST_IDLE_NS] = BEGIN_NS + 100 * NS_PER_MS

    assert completion_series(arena, process_of(0.2, 1), ORIGIN_NS, drains=False)["first_idle_seconds"] is None


def test_rows_that_found_no_room_leave_no_series_and_it_says_so(arena: Arena) -> None:
    put(arena, 0, 10)
    arena.words[1, Word.ROWS_LEFT_OUT] = 3

    series = completion_series(arena, process_of(0.2, 1), ORIGIN_NS, drains=True)

    assert (series["complete"], series["completed"], series["bin_seconds"]) == (False, [], None)


def test_rows_and_phase_that_do_not_agree_leave_none_either(arena: Arena) -> None:
    put(arena, 0, 10)

    assert not completion_series(arena, process_of(0.2, 2), ORIGIN_NS, drains=True)["complete"]
    assert not completion_series(arena, nothing(), ORIGIN_NS, drains=True)["complete"]


def test_a_series_is_plain_numbers(arena: Arena) -> None:
    put(arena, 0, 10)

    series = completion_series(arena, process_of(0.2, 1), ORIGIN_NS, drains=True)

    assert not any(isinstance(count, np.integer) for count in series["completed"])
