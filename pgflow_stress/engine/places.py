"""Where each task of a workload has its place, and what becomes of it by design: as columns, for the audit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.ids import run_id
from pgflow_stress.scenario.workload import Workload

Flags = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


class Places:
    """Tasks in the order of run, step, task."""

    def __init__(self, work: Workload) -> None:
        """Look everything up once."""
        self._steps = work.steps
        self._offsets = np.array(work.step_offsets(), dtype=np.int64)
        self._tasks = np.array([step.tasks for step in self._steps], dtype=np.int64)
        self._flow_steps = work.flow_steps()
        self.run_flow = work.run_flow()
        self.first = work.first_task(self.run_flow)

    @property
    def tasks(self) -> int:
        """All of them."""
        return int(self.first[-1])

    def of_tasks(self, runs: Int64s, steps: Int64s, tasks: Int64s) -> Int64s:
        """The places of tasks, `steps` being indexes within their flows; -1: of nothing that was planned."""
        known = (runs >= 0) & (runs < len(self.run_flow))
        if not len(self.run_flow):
            return np.full(len(runs), -1, dtype=np.int64)
        flows = self.run_flow[np.where(known, runs, 0)]
        known &= (steps >= 0) & (steps < self._flow_steps[flows, 1])
        step = np.where(known, self._flow_steps[flows, 0] + steps, 0)
        known &= (tasks >= 0) & (tasks < self._tasks[step])
        return np.where(known, self.first[np.where(known, runs, 0)] + self._offsets[step] + tasks, -1)

    def of_runs(self, runs: Flags) -> Flags:
        """bool[tasks]: those of these runs."""
        return np.repeat(runs, np.diff(self.first))

    def runs_with(self, tasks: Flags) -> Flags:
        """bool[runs]: those that have one of these tasks."""
        before = np.concatenate([[0], np.cumsum(tasks)])
        return before[self.first[1:]] > before[self.first[:-1]]

    def first_of_runs(self, runs: Flags) -> Flags:
        """bool[tasks]: the first one of each of these runs, to name them by."""
        found = np.zeros(self.tasks, dtype=bool)
        found[self.first[:-1][runs & (np.diff(self.first) > 0)]] = True
        return found

    def steps_of_tasks(self) -> Int64s:
        """int64[tasks]: the index of each task's step among all."""
        counts = self._flow_steps[self.run_flow]
        parts = [
            np.repeat(np.arange(first, first + count), self._tasks[first : first + count])
            for first, count in np.unique(self._flow_steps, axis=0)
        ]
        by_first = dict(zip(np.unique(self._flow_steps, axis=0)[:, 0].tolist(), parts, strict=True))
        return np.concatenate([by_first[first] for first in counts[:, 0].tolist()] or [np.zeros(0, dtype=np.int64)])

    def name(self, nonce: int, place: int) -> str:
        """A task in words: run id, step, index."""
        run = int(np.searchsorted(self.first, place, side="right")) - 1
        first, count = (int(value) for value in self._flow_steps[self.run_flow[run]])
        rest = place - int(self.first[run])
        step = first + int(np.searchsorted(self._offsets[first : first + count], rest, side="right")) - 1
        return f"{run_id(nonce, run)} {self._steps[step].slug} {rest - int(self._offsets[step])}"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What becomes of everything, by design."""

    failed_attempts: npt.NDArray[np.uint8]  # [tasks]: before one does not fail
    doomed: Flags  # [tasks]: fail for good, once they are reached
    failing_runs: Flags  # [runs]


def expected_outcomes(work: Workload, places: Places) -> Outcomes | None:
    """What the seed decides; None where nothing fails by design.

    A run with a doomed task fails: of its doomed tasks, one whose step has no doomed ancestor is reached for certain.
    """
    failing = work.failing
    if failing is None:
        return None
    below = failing.fail_below(tuple(len(shape.steps) for shape in work.shapes))
    shapes = np.array(work.shape_of, dtype=np.int64)[places.run_flow]
    steps = places.steps_of_tasks()
    most = failing.most_tries_of(steps)
    tasks = failing.failed_attempts(below[steps], failing.doomed_tasks(places.first, shapes), most)
    doomed = tasks >= most
    return Outcomes(tasks, doomed, places.runs_with(doomed))
