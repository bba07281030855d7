"""The engine: forks the nursery, then measures one scenario after another, a fresh database each repetition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pgflow_stress.core import ids
from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.core.errors import StressError
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.measurement import Ending, Measurement
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.pinning import pin
from pgflow_stress.engine.process import title
from pgflow_stress.engine.sizing import arena_size
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Target


class Engine:
    """A context manager; entered before any thread exists and before anything is connected to."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        """Nothing is forked or mapped yet."""
        self._plans = tuple(plans)
        self._interrupts = Interrupts()

    def __enter__(self) -> Engine:
        """Map the arena for the largest of the plans, fork the nursery, take the signals.

        Raises:
            UsageFault: the recording would not fit into memory.
        """
        title("coordinator")
        sizes = [arena_size(plan) for plan in self._plans]
        self._arena = Arena(
            ArenaSize(
                processes=max(size.processes for size in sizes),
                flows=max(size.flows for size in sizes),
                runs=max(size.runs for size in sizes),
                tasks=max(size.tasks for size in sizes),
                rows=max(size.rows for size in sizes),
                places=max(size.places for size in sizes),
                starters=max(size.starters for size in sizes),
            )
        )
        self._nursery = Nursery(self._arena)
        for role, cpus in self._plans[0].options.pin:
            if role == "coordinator":
                pin(cpus)
        self._interrupts.__enter__()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Nothing of ours is left: no process, no memory."""
        with self._interrupts.deferred():
            self._nursery.close()
            self._arena.close()
        self._interrupts.__exit__()

    def measure(self, plan: Plan, target: Target, record: Callable[[Recording], None], watch: Watch) -> Measurement:
        """All repetitions of a scenario, each on a database of its own.

        Faults become endings of the measurement, so that what was measured before them is kept.
        """
        from pgflow_stress.engine.repetition import Surroundings, run_repetition  # noqa: PLC0415

        around = Surroundings(plan, self._arena, self._nursery, self._interrupts, watch, record, target.embedded)
        repetitions: list[Repetition] = []
        endings: list[Ending] = []
        parameters: Json = {**plan.parameters(), "isolation": str(target.isolation)}
        by_worker = [0] * plan.options.workers
        for index in range(plan.repetitions):
            warmup = index < plan.options.warmup
            nonce = ids.new_nonce()
            try:
                watch.phase("set-up", plan.scenario, index)
                with self._interrupts.deferred():
                    database = target.acquire(nonce)
                    try:
                        self._interrupts.check()
                        done = run_repetition(around, database, nonce, index, warmup)
                    finally:
                        left = target.release(database)
            except StressError as fault:
                endings.append(Ending(fault.exit_code, f"{plan.scenario}, repetition {index}: {fault}"))
                break
            repetitions.append(done.repetition)
            endings += done.endings
            parameters["vt"] = done.vt_seconds
            by_worker = [have + more for have, more in zip(by_worker, done.tasks_by_worker, strict=True)]
            if left.leftovers:
                endings.append(
                    Ending(
                        ExitCode.CHECK_FAILED,
                        f"{plan.scenario}, repetition {index}: left behind: {'; '.join(left.leftovers)}",
                    )
                )
            if not done.goes_on:
                break
            if self._interrupts.count:
                endings.append(Ending(ExitCode.INTERRUPTED, f"{plan.scenario}: interrupted after repetition {index}"))
                break
        return Measurement(plan, tuple(repetitions), tuple(endings), parameters, tuple(by_worker))
