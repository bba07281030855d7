"""What the engine hands on: of one repetition, and when a scenario has ended."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.scenario.past import past_of
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.aging import AFTER_HISTORY
from pgflow_stress.target.base import Target


@dataclass(frozen=True, slots=True)
class Ending:
    """One reason for a code other than 0: the line the user reads."""

    code: ExitCode
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of one repetition; None where a fault came before anything was measured."""

    repetition: Repetition | None
    endings: tuple[Ending, ...]
    vt_seconds: int = 0
    tasks_by_worker: tuple[int, ...] = ()
    goes_on: bool = False  # whether another repetition makes sense


@dataclass(frozen=True, slots=True)
class Measurement:
    """A scenario's repetitions, and why it ended as it did; no endings means 0."""

    plan: Plan
    repetitions: tuple[Repetition, ...]
    endings: tuple[Ending, ...]
    parameters: Json  # plan.parameters() with what was measured filled in: vt, isolation
    tasks_by_worker: tuple[int, ...]


def on_target(plan: Plan, target: Target) -> Json:
    """How databases are kept apart, and what was in them before: tasks that finished, and what was done after them."""
    on = {"isolation": str(target.isolation), "history": 0}
    if not (plan.history and target.can_age):
        return on
    return {**on, "history": past_of(plan).expected_tasks, "after_history": AFTER_HISTORY}


class Gathering:
    """Puts a measurement together as its repetitions come."""

    def __init__(self, plan: Plan, on: Json) -> None:
        """Nothing measured yet; `on` as on_target says it."""
        self._plan = plan
        self._repetitions: list[Repetition] = []
        self._endings: list[Ending] = []
        self._parameters: Json = {**plan.parameters(), **on}
        self._by_worker = [0] * plan.options.workers

    @property
    def client_ns_per_task(self) -> float:
        """CPU time of the workers a task so far, where nothing was changed to see what it does; 0.0 at first."""
        costs = [r.client.get("cpu_ns_per_task") for r in self._repetitions if not r.probe]
        known = [cost for cost in costs if cost]
        return statistics.fmean(known) if known else 0.0

    def add(self, measured: Measured) -> None:
        """The next one."""
        self._endings += measured.endings
        if measured.repetition is None:
            return
        self._repetitions.append(measured.repetition)
        if measured.repetition.probe:  # another number of workers, another cost
            return
        self._parameters["vt"] = measured.vt_seconds
        self._by_worker = [have + more for have, more in zip(self._by_worker, measured.tasks_by_worker, strict=True)]

    @property
    def repetitions(self) -> tuple[Repetition, ...]:
        """Those that came."""
        return tuple(self._repetitions)

    def extend(self, repetitions: int) -> None:
        """So many are counted in the end, which was not known when the first began."""
        self._parameters["repetitions"] = repetitions

    def measurement(self) -> Measurement:
        """All that came."""
        return Measurement(
            self._plan, tuple(self._repetitions), tuple(self._endings), self._parameters, tuple(self._by_worker)
        )
