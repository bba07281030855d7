"""The engine: forks the nursery, then measures one scenario after another, a fresh database each repetition."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pgflow_stress.core import ids
from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.core.errors import RunFailed, StressError
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Repetition
from pgflow_stress.engine.hosts.among import OpenGate
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.measurement import Ending, Gathering, Measured, Measurement, on_target
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.pinning import pin
from pgflow_stress.engine.process import title
from pgflow_stress.engine.sizing import arena_size
from pgflow_stress.scenario.past import past_of
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database, Target

if TYPE_CHECKING:
    from pgflow_stress.engine.conclusion import Grounds
    from pgflow_stress.engine.hosts.gate import Gate


class Engine:
    """A context manager; entered before any thread exists and before anything is connected to."""

    def __init__(self, plans: Sequence[Plan], make_gate: Callable[[], Gate] | None = None) -> None:
        """Nothing is forked or mapped yet.

        Args:
            make_gate: of a host among several; called once the nursery is there.
        """
        self._plans = tuple(plans)
        self._make_gate = make_gate
        self._interrupts = Interrupts()

    def __enter__(self) -> Engine:
        """Map the arena for the largest of the plans, fork the nursery, take the signals.

        Raises:
            UsageFault: the recording would not fit into memory.
        """
        title("coordinator")
        pasts = [past_of(plan) for plan in self._plans if plan.history]
        sizes = [arena_size(plan) for plan in (*self._plans, *pasts)]
        self._arena = Arena(
            ArenaSize(
                processes=max(size.processes for size in sizes),
                flows=max(size.flows for size in sizes),
                runs=max(size.runs for size in sizes),
                tasks=max(size.tasks for size in sizes),
                rows=max(size.rows for size in sizes),
                places=max(size.places for size in sizes),
                starters=max(size.starters for size in sizes),
                points=max(size.points for size in sizes),
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

    def check_interrupted(self) -> None:
        """Raise a signal that came while none was answered.

        Raises:
            Interrupted: one did.
        """
        self._interrupts.check()

    @contextlib.contextmanager
    def lent(self, target: Target) -> Iterator[tuple[Database, int]]:
        """A database of the target's and its nonce, for what is no repetition of ours; removed after, and verified.

        Raises:
            SetUpFault: it could not be made.
            RunFailed: something of it stayed behind.
            Interrupted: a signal came; in the block it is raised where it strikes.
        """
        nonce = ids.new_nonce()
        database: Database | None = None
        try:
            with self._interrupts.deferred():
                database = target.acquire(nonce)
            self._interrupts.check()
            yield database, nonce
        finally:
            if database is not None:
                with self._interrupts.deferred():
                    left = target.release(database)
        if left.leftovers:
            raise RunFailed(f"left behind: {'; '.join(left.leftovers)}")

    def measure(
        self,
        plan: Plan,
        target: Target,
        record: Callable[[Recording], None],
        watch: Watch,
        more: Callable[[Sequence[Repetition]], int] | None = None,
    ) -> Measurement:
        """All repetitions of a scenario, each on a database of its own.

        Faults become endings of the measurement, so that what was measured before them is kept.

        Args:
            more: asked once, after the plan's repetitions, how many come on top of them.
        """
        gathering = Gathering(plan, on_target(plan, target))
        index, many = 0, plan.repetitions
        try:
            with self.aged(plan, target, watch):
                while index < many:
                    varied = plan.at(index, gathering.client_ns_per_task)
                    measured = self.measure_one(varied, target, record, watch, index)
                    gathering.add(measured)
                    if not measured.goes_on:
                        break
                    index += 1
                    if index == many and more is not None:
                        many, more = many + more(gathering.repetitions), None
                        gathering.extend(many - plan.options.warmup)
        except StressError as fault:
            gathering.add(Measured(None, (Ending(fault.exit_code, f"{plan.scenario}: {fault}"),)))
        return gathering.measurement()

    @contextlib.contextmanager
    def aged(self, plan: Plan, target: Target, watch: Watch) -> Iterator[None]:
        """For the length of the block the target's databases are as old as the plan asks, where it can age them.

        Raises:
            StressError: the history could not be made.
        """
        if not (plan.history and target.can_age):
            yield
            return
        from pgflow_stress.engine.history import make_history  # noqa: PLC0415
        from pgflow_stress.engine.repetition import Surroundings  # noqa: PLC0415

        nonce = ids.new_nonce()
        past = past_of(plan)
        watch.note(f"aging the database of {plan.scenario} by {past.expected_tasks:,} finished tasks")

        def fill(database: Database) -> None:
            self._interrupts.check()
            around = Surroundings(past, self._arena, self._nursery, self._interrupts, watch, _nothing, target.embedded)
            make_history(around, plan, database, nonce)

        with contextlib.ExitStack() as opened:
            with self._interrupts.deferred():
                opened.enter_context(target.aged(nonce, fill))
            try:
                yield
            finally:
                with self._interrupts.deferred():
                    opened.close()

    def measure_one(
        self,
        plan: Plan,
        target: Target,
        record: Callable[[Recording], None],
        watch: Watch,
        index: int,
        inspect: Callable[[Database, Grounds], None] | None = None,
    ) -> Measured:
        """One repetition of a scenario, on a database of its own; faults become endings of it.

        Args:
            inspect: is given the finished database and what it was held against, before it is released.
        """
        from pgflow_stress.engine.repetition import Surroundings, run_repetition  # noqa: PLC0415

        around = Surroundings(
            plan, self._arena, self._nursery, self._interrupts, watch, record, target.embedded, target.restart, inspect,
            self._make_gate() if self._make_gate else OpenGate(),
        )  # fmt: skip
        nonce = ids.new_nonce()
        which = f"{plan.scenario}, repetition {index}"
        try:
            watch.phase("set-up", plan.scenario, index)
            with self._interrupts.deferred():
                database = target.acquire(nonce)
                try:
                    self._interrupts.check()
                    done = run_repetition(around, database, nonce, index, index < plan.options.warmup)
                finally:
                    left = target.release(database)
        except StressError as fault:
            return Measured(None, (Ending(fault.exit_code, f"{which}: {fault}"),))
        watch.ended(done.repetition)
        endings = list(done.endings)
        if left.leftovers:
            endings.append(Ending(ExitCode.CHECK_FAILED, f"{which}: left behind: {'; '.join(left.leftovers)}"))
        interrupted = done.goes_on and bool(self._interrupts.count)
        if interrupted:
            endings.append(Ending(ExitCode.INTERRUPTED, f"{plan.scenario}: interrupted after repetition {index}"))
        goes_on = done.goes_on and not interrupted
        return Measured(done.repetition, tuple(endings), done.vt_seconds, done.tasks_by_worker, goes_on)


def _nothing(_recording: Recording) -> None:
    """A history has no recording."""
