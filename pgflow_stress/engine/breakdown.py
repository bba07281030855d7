"""Where the response time of runs went, hop by hop along their critical paths: out of the arena, after the window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import Arena, RunWord
from pgflow_stress.core.critical_path import (
    HOPS,
    NO_STEP,
    STEP_HOPS,
    Hops,
    RunStamps,
    TaskStamps,
    critical_paths,
    hops_of,
    tail_of,
)
from pgflow_stress.core.result import Json
from pgflow_stress.engine.breakdown_rows import (
    Int64s,
    TaskRows,
    choose_runs,
    completed_received_ns,
    starts_answered_ns,
    task_rows,
)
from pgflow_stress.scenario.flow import FlowShape

MOST_PLACES = 10  # of a path that is told step by step
_TASK_STAMPS = tuple(TaskStamps.__dataclass_fields__)
# Why a completed run has no breakdown, in the order in which they are looked for.
LEFT_OUT = (
    "rows_left_out",  # a row that its path needs found no room
    "attempted_again",  # a task of it has two rows
    "start_in_doubt",  # nobody saw its start_flow answered
    "adopted",  # a task of its path, for a dead worker
    "retried",  # on its path, a completion of the batch was refused and sent again
)


def breakdown(arena: Arena, shape: FlowShape, seed: int) -> Json:
    """The breakdown of a finished repetition, as the result has it: `client.breakdown`, times in ns.

    Args:
        shape: of every flow.
        seed: of the sample, where there are more runs than are looked at.
    """
    chosen = choose_runs(arena, seed)
    tasks = task_rows(arena, chosen.runs)
    reasons = _unfit(arena, shape, chosen.runs, tasks)
    fit = np.flatnonzero(reasons < 0)
    last = _last_rows(shape, tasks, len(chosen.runs))[fit]
    paths = critical_paths(np.where(last >= 0, tasks.done_ns[last], 0), _releasing(shape)) if len(fit) else last
    at = np.take_along_axis(last, np.maximum(paths, 0), axis=1)
    reasons[fit] = _untimed(tasks, at, paths > NO_STEP)
    kept = reasons[fit] < 0
    counts = {name: int(np.count_nonzero(reasons == number)) for number, name in enumerate(LEFT_OUT)}
    counts[LEFT_OUT[0]] += chosen.completed - chosen.recorded
    runs = chosen.runs[fit][kept]
    found: Json = {
        "completed_runs": chosen.completed,
        "looked_at": len(chosen.runs),
        "runs": len(runs),
        "left_out": {name: count for name, count in counts.items() if count},
    }
    return {**found, **_told(arena, shape, runs, paths[kept], tasks, at[kept])} if len(runs) else found


def _unfit(arena: Arena, shape: FlowShape, runs: Int64s, tasks: TaskRows) -> Int64s:
    """int64[runs]: the index in LEFT_OUT of why a run is left out before its path is known, -1 where it is not."""
    per_run = shape.tasks_per_run
    place = tasks.run * per_run + np.array(shape.step_offsets(), dtype=np.int64)[tasks.step] + tasks.task
    rows = np.bincount(place, minlength=len(runs) * per_run).reshape(len(runs), per_run)
    is_seen = np.isin(arena.runs[runs, RunWord.STARTED_NS], starts_answered_ns(arena))
    return np.select([(rows == 0).any(axis=1), (rows > 1).any(axis=1), ~is_seen], [0, 1, 2], -1)


def _last_rows(shape: FlowShape, tasks: TaskRows, runs: int) -> Int64s:
    """int64[runs, steps]: the row of each step's task that was answered last; -1 where the step has none."""
    steps = len(shape.steps)
    last = np.full(runs * steps, -1, dtype=np.int64)
    place = tasks.run * steps + tasks.step
    order = np.lexsort((tasks.done_ns, place))
    ends = np.flatnonzero(np.diff(place[order], append=-1))
    last[place[order[ends]]] = order[ends]
    return last.reshape(runs, steps)


def _releasing(shape: FlowShape) -> list[tuple[int, ...]]:
    """The steps whose completion releases each step: its parents, and for one without tasks of its own, theirs."""
    found: list[tuple[int, ...]] = []
    for step in shape.steps:
        through = [(one,) if shape.steps[one].tasks else found[one] for one in step.deps]
        found.append(tuple(dict.fromkeys(one for some in through for one in some)))
    return found


def _untimed(tasks: TaskRows, at: Int64s, on_path: npt.NDArray[np.bool_]) -> Int64s:
    """Likewise: why a path cannot be timed."""
    lacks = (tasks.claimed_ns[at] == 0) | (tasks.sent_ns[at] == 0)
    adopted, retried = ((on_path & is_so[at]).any(axis=1) for is_so in (tasks.adopted, tasks.retried))
    return np.select([adopted, retried, (on_path & lacks).any(axis=1)], [3, 4, 0], -1)


def _told(arena: Arena, shape: FlowShape, runs: Int64s, paths: Int64s, tasks: TaskRows, at: Int64s) -> Json:
    words = arena.runs[runs]
    stamps = RunStamps(
        *(words[:, word] for word in (RunWord.INTENDED_NS, RunWord.SENT_NS, RunWord.STARTED_NS, RunWord.LAST_DONE_NS))
    )
    hops = hops_of(stamps, paths, TaskStamps(*(getattr(tasks, name)[at] for name in _TASK_STAMPS)))
    everything, tail = np.arange(len(runs)), tail_of(stamps.response_ns)
    lengths = (paths > NO_STEP).sum(axis=1)
    return {
        **_means(stamps, hops, everything),
        "residual_share": hops.residual_share,
        "path_steps": {"mean": float(lengths.mean()), "most": int(lengths.max())},
        "tail": None if tail is None else {"runs": len(tail), **_means(stamps, hops, tail)},
        "delivery": _delivery(completed_received_ns(arena)[runs], stamps.done_ns, tail),
        "by_position": _by_position(shape, paths, lengths, hops) if lengths.max() <= MOST_PLACES else [],
    }


def _means(stamps: RunStamps, hops: Hops, of: Int64s) -> Json:
    means = hops.by_run_ns[of].mean(axis=0)
    unscheduled = () if (stamps.intended_ns > 0).any() else ("wait",)
    return {
        "response_ns": float(stamps.response_ns[of].mean()),
        "mean_ns": {hop: float(mean) for hop, mean in zip(HOPS, means, strict=True) if hop not in unscheduled},
        "residual_ns": float(hops.residual_ns[of].mean()),
    }


def _delivery(received_ns: Int64s, done_ns: Int64s, tail: Int64s | None) -> Json | None:
    """From a run's last answer to its run:completed received: beyond the response time; below 0 where it was first."""
    is_received = received_ns > 0
    if not is_received.any():
        return None
    after_ns = received_ns - done_ns
    tail = tail[is_received[tail]] if tail is not None else np.zeros(0, dtype=np.int64)
    return {
        "runs": int(np.count_nonzero(is_received)),
        "mean_ns": float(after_ns[is_received].mean()),
        "tail_ns": float(after_ns[tail].mean()) if len(tail) else None,
    }


def _by_position(shape: FlowShape, paths: Int64s, lengths: Int64s, hops: Hops) -> list[Json]:
    """The hops of each step of the paths, counted from the root; its slug where it is the same step in every run."""
    found = []
    for position in range(int(lengths.max())):
        runs = np.flatnonzero(lengths > position)
        places = lengths[runs] - 1 - position
        steps = np.unique(paths[runs, places])
        means = hops.by_place_ns[runs, places].mean(axis=0)
        found.append(
            {
                "position": position,
                "step": shape.steps[steps[0]].slug if len(steps) == 1 else None,
                "runs": len(runs),
                "mean_ns": {hop: float(mean) for hop, mean in zip(STEP_HOPS, means, strict=True)},
            }
        )
    return found
