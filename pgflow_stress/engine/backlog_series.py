"""Runs that were due and not completed, over the schedule of an open load: what a queue's growth is read from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import Arena, Int64s, RunWord
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND

Floats = npt.NDArray[np.float64]

BINS = 100


def backlog_of(arena: Arena, tasks_per_run: int) -> Json | None:
    """The series of a finished repetition, as the result has it; None where no two runs were scheduled.

    From the first run that was due to the last. A run counts from when it was due, so that one that waits for a free
    starter is in the queue too; one that was skipped never counts.
    """
    scheduled = arena.runs[(arena.runs[:, RunWord.INTENDED_NS] > 0) & (arena.runs[:, RunWord.SKIPPED] == 0)]
    due_ns = scheduled[:, RunWord.INTENDED_NS]
    whole = scheduled[scheduled[:, RunWord.COMPLETED] >= tasks_per_run]
    if len(due_ns) < 2 or due_ns.min() == due_ns.max():
        return None
    return backlog_series(due_ns, whole[:, RunWord.LAST_DONE_NS], BINS)


def backlog_series(due_ns: Int64s, done_ns: Int64s, bins: int) -> Json:
    """The mean of the backlog in each of equal bins, exactly, and what is left at the end.

    Args:
        due_ns: int64[n >= 2], ns: when each run was due, not all the same; the bins fill the span of these.
        done_ns: int64[m <= n], ns, same clock, any order: when those that completed did.
        bins: how many.
    """
    begin_ns, end_ns = int(due_ns.min()), int(due_ns.max())
    edges = np.linspace(0.0, (end_ns - begin_ns) / NS_PER_SECOND, bins + 1)
    due = np.sort(due_ns - begin_ns) / NS_PER_SECOND
    done = np.sort(done_ns - begin_ns) / NS_PER_SECOND
    areas = np.diff(_counted_seconds(due, edges) - _counted_seconds(done, edges))
    return {
        "bin_seconds": float(edges[1]),
        "mean": [float(mean) for mean in np.maximum(0.0, areas / edges[1])],
        "left": len(due) - int(np.searchsorted(done, edges[-1], side="right")),
    }


def _counted_seconds(at: Floats, until: Floats) -> Floats:
    """The integral from 0 to each of `until` of how many of `at`, ascending, have come: sum of until - at."""
    sums = np.concatenate(([0.0], np.cumsum(at)))
    count = np.searchsorted(at, until, side="right")
    return np.asarray(count * until - sums[count], dtype=np.float64)
