"""Completed tasks over the process phase, out of the rows in the arena: what the rules about a window's course read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import Arena, Word
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.result import Json, Phase
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.sizing import starter_regions

MOST_BINS = 100
LEAST_BIN_SECONDS = 0.05
_COMPLETED = (Status.OK, Status.ADOPTED, Status.SETTLED)  # of a task's row


def completion_series(arena: Arena, process: Phase, origin_ns: int, *, drains: bool) -> Json:
    """The series of a finished repetition, as the result has it; seconds are from the begin of `process`.

    Bins are of equal length and fill the phase. Where rows found no room, or rows and phase do not count the same,
    there are none, and `complete` is false.

    Args:
        process: the phase, from the origin.
        origin_ns: CLOCK_MONOTONIC.
        drains: whether every run was started before the phase: only then is the first idle worker the end's beginning.
    """
    if process.from_ns is None or process.to_ns is None:
        return _without(None)
    begin_ns, end_ns = origin_ns + process.from_ns, origin_ns + process.to_ns
    idle = _first_idle_seconds(arena, begin_ns, end_ns) if drains else None
    if arena.words[:, Word.ROWS_LEFT_OUT].any():
        return _without(idle)
    bins = max(1, min(MOST_BINS, int((end_ns - begin_ns) / (LEAST_BIN_SECONDS * NS_PER_SECOND))))
    completed = np.zeros(bins, dtype=np.int64)
    for process_index in range(starter_regions(arena.size).stop):
        for rows in arena.read_rows(process_index):
            is_task = rows["operation"] == Operation.TASK
            for stamps_ns, count in (
                (rows["done_ns"][is_task & np.isin(rows["status"], _COMPLETED)], 1),
                (rows["sent_ns"][is_task & (rows["status"] == Status.LOST)], -1),  # where it had been counted
            ):
                places = (stamps_ns - begin_ns) * bins // (end_ns - begin_ns)
                # The last answer is the end itself.
                completed += count * np.bincount(np.clip(places, 0, bins - 1), minlength=bins)
    if int(completed.sum()) != process.count:
        return _without(idle)
    return {
        "bin_seconds": process.seconds / bins,
        "completed": completed.tolist(),
        "first_idle_seconds": idle,
        "complete": True,
    }


def completed_ns(arena: Arena) -> npt.NDArray[np.int64] | None:
    """int64[n], CLOCK_MONOTONIC, ascending: when tasks were completed; None where rows found no room."""
    if arena.words[:, Word.ROWS_LEFT_OUT].any():
        return None
    parts = [
        rows["done_ns"][(rows["operation"] == Operation.TASK) & np.isin(rows["status"], _COMPLETED)]
        for region in range(starter_regions(arena.size).start)
        for rows in arena.read_rows(region)
    ]
    return np.sort(np.concatenate([*parts, np.zeros(0, dtype=np.int64)]).astype(np.int64))


def _without(idle_seconds: float | None) -> Json:
    return {"bin_seconds": None, "completed": [], "first_idle_seconds": idle_seconds, "complete": False}


def _first_idle_seconds(arena: Arena, begin_ns: int, end_ns: int) -> float | None:
    idle_ns = arena.words[:, Word.FIRST_IDLE_NS]
    first_ns = int(idle_ns[idle_ns > 0].min(initial=end_ns))
    return (first_ns - begin_ns) / NS_PER_SECOND if begin_ns < first_ns < end_ns else None
