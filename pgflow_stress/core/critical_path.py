"""A run's critical path and where the time of its response went: pure arithmetic on stamps of one clock.

Walked backwards from the completion that was answered last: a step was released by the last of its parents, so that its
wait begins with the answer to that one's completing call, or of start_flow where it has no parents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

RUN_HOPS = ("wait", "start")  # once a run
STEP_HOPS = ("queue_wait", "claim", "work", "completion")  # once a step of its path
HOPS = (*RUN_HOPS, *STEP_HOPS)
TAIL_PER_MILLE = (985, 995)  # of the response times: about their p99, by as many runs on either side of it
LEAST_TAIL_RUNS = 10
NO_STEP = -1


@dataclass(frozen=True, slots=True)
class RunStamps:
    """When n runs were due (0: nothing was scheduled), start_flow sent and answered, and the last completion answered.

    int64[n] each, ns of one clock.
    """

    intended_ns: Int64s
    sent_ns: Int64s
    started_ns: Int64s
    done_ns: Int64s

    @property
    def response_ns(self) -> Int64s:
        """From when a run was due, else from when it was sent, to its last answer."""
        return self.done_ns - np.where(self.intended_ns > 0, self.intended_ns, self.sent_ns)


@dataclass(frozen=True, slots=True)
class TaskStamps:
    """Of the step at each place of n paths: int64[n, places], ns; what a path does not reach is never looked at."""

    read_ns: Int64s  # its poll sent
    claimed_ns: Int64s  # start_tasks answered
    sent_ns: Int64s  # its completion sent
    done_ns: Int64s  # its completion answered


@dataclass(frozen=True, slots=True)
class Hops:
    """Where the response time of n runs went; int64, ns."""

    by_run_ns: Int64s  # [n, HOPS], each summed over the run's path
    by_place_ns: Int64s  # [n, places, STEP_HOPS]; 0 beyond the path
    residual_ns: Int64s  # [n]: the response time less all hops

    @property
    def residual_share(self) -> float | None:
        """What does not add up, of all response times; that of one run never makes up for another's."""
        total = float(self.by_run_ns.sum() + self.residual_ns.sum())
        return float(np.abs(self.residual_ns).sum()) / total if total > 0 else None


def critical_paths(done_ns: Int64s, parents: Sequence[Sequence[int]]) -> Int64s:
    """The steps of each run's critical path, from the last one back to its root.

    Args:
        done_ns: int64[n, steps], ns: when the last task of each step was answered; of equal ones the first is taken.
        parents: of each step, the steps that released it, all before it.
    Returns:
        int64[n, places]: step indexes, NO_STEP beyond a path's root.
    """
    step = done_ns.argmax(axis=1) if len(done_ns) else np.zeros(0, dtype=np.int64)
    path = [step]
    has_parents = np.array([bool(one) for one in parents])
    while (step := _last_parents(done_ns, step, parents, has_parents)).max(initial=NO_STEP) > NO_STEP:
        path.append(step)
    return np.stack(path, axis=1)


def _last_parents(
    done_ns: Int64s, step: Int64s, parents: Sequence[Sequence[int]], has_parents: npt.NDArray[np.bool_]
) -> Int64s:
    found = np.full(len(step), NO_STEP, dtype=np.int64)
    reached = np.unique(step[step > NO_STEP])
    for one in reached[has_parents[reached]]:
        runs, candidates = np.flatnonzero(step == one), np.asarray(parents[one])
        found[runs] = candidates[done_ns[np.ix_(runs, candidates)].argmax(axis=1)]
    return found


def hops_of(runs: RunStamps, paths: Int64s, tasks: TaskStamps) -> Hops:
    """How long each hop took.

    They telescope: each begins where the one before it ended, so that their sum is the response time. A poll that was
    already waiting when the step was released makes the queue wait 0, and the claim begins at the release. Stamps that
    contradict the order of causes (a claim answered before the answer that released it was read) make no hop negative:
    what they add is the residual.

    Args:
        runs: of n runs.
        paths: int64[n, places], as `critical_paths` gives them.
        tasks: of the step at each place of a path.
    """
    on_path = paths > NO_STEP
    beyond = np.append(on_path[:, 1:], np.zeros((len(paths), 1), dtype=bool), axis=1)  # whether a parent released it
    parent_done_ns = np.roll(tasks.done_ns, -1, axis=1)
    release_ns = np.where(beyond, parent_done_ns, runs.started_ns[:, None])
    spans = (
        tasks.read_ns - release_ns,
        tasks.claimed_ns - np.maximum(tasks.read_ns, release_ns),
        tasks.sent_ns - tasks.claimed_ns,
        tasks.done_ns - tasks.sent_ns,
    )
    by_place = np.stack([np.where(on_path, np.maximum(span, 0), 0) for span in spans], axis=2)
    waited = np.where(runs.intended_ns > 0, runs.sent_ns - runs.intended_ns, 0)
    by_run = np.column_stack(
        [np.maximum(waited, 0), np.maximum(runs.started_ns - runs.sent_ns, 0), by_place.sum(axis=1)]
    )
    return Hops(by_run, by_place, runs.response_ns - by_run.sum(axis=1))


def tail_of(response_ns: Int64s) -> Int64s | None:
    """Which runs are between p98.5 and p99.5 of the response time, by rank; None for fewer than LEAST_TAIL_RUNS."""
    low, high = (-(-len(response_ns) * per_mille // 1_000) for per_mille in TAIL_PER_MILLE)
    if high - low < LEAST_TAIL_RUNS:
        return None
    return np.argsort(response_ns, kind="stable")[low:high]
