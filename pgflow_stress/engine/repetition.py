"""One repetition: prime, then create, start and process behind a barrier each, then audit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import psycopg

from pgflow_stress.core import ids
from pgflow_stress.core.arena import Arena, ArenaSize, Header, LedgerBit, Stop, Word
from pgflow_stress.core.errors import Interrupted, RunFailed, SetUpFault
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Progress, Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Incident, Json, Repetition, Tasks
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine import littles_law
from pgflow_stress.engine.accounts import Accounts, client_cost, refusals, rows_of, take_accounts
from pgflow_stress.engine.audit import AuditInput, Found, audit, unreachable
from pgflow_stress.engine.control import Control, ServerReading
from pgflow_stress.engine.crew import Crew, new_worker_id
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import State, WorkerOrder
from pgflow_stress.engine.sizing import arena_size
from pgflow_stress.scenario.options import Orphans
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database
from pgflow_stress_hot.clock import monotonic_ns

LEAST_VT_SECONDS = 15
_VT_CYCLES = 20  # the visibility outlasts this many cycles as long as the primed tasks said
_PRIME_SECONDS = 120.0
_TICK_SECONDS = 0.1
_HOUSEKEEPING_SECONDS = 0.02
_ABORT_SECONDS = 3.0
_STALL_CHECK_SECONDS = 1.0


class Stopped(StrEnum):
    """Why a repetition ended before its work did."""

    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed out"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every repetition of a scenario shares."""

    plan: Plan
    arena: Arena
    nursery: Nursery
    interrupts: Interrupts
    watch: Watch
    record: Callable[[Recording], None]
    embedded: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A repetition, and what it says about the run's end."""

    repetition: Repetition
    endings: tuple[Ending, ...]
    vt_seconds: int
    tasks_by_worker: tuple[int, ...]
    goes_on: bool  # whether another repetition makes sense


def run_repetition(around: Surroundings, database: Database, nonce: int, index: int, warmup: bool) -> Done:
    """Measure once on a prepared database. Signals are deferred by the caller.

    Raises:
        SetUpFault, RunFailed: before anything was measured.
        Interrupted: likewise; what came after that is in the repetition.
    """
    control = Control(database.conninfo)
    try:
        return _Repetition(around, database, control, nonce, index, warmup).run()
    finally:
        control.close()


class _Repetition:
    def __init__(  # noqa: PLR0917  all of them are what a repetition is of
        self, around: Surroundings, database: Database, control: Control, nonce: int, index: int, warmup: bool
    ) -> None:
        self._around = around
        self._plan = around.plan
        self._options = around.plan.options
        self._arena = around.arena
        self._control = control
        self._database = database
        self._nonce = nonce
        self._index = index
        self._warmup = warmup
        self._origin_ns = 0
        self._stopped: Stopped | None = None
        self._stopped_at = 0.0
        self._failure: RunFailed | None = None
        self._gauge = littles_law.Gauge()
        self._random = random.Random(self._options.seed * 1000 + index)
        self._next_tick = 0.0
        self._next_housekeeping = 0.0
        self._progress_mark = (-1, 0.0)  # (statements answered, when that changed)
        self._extra: list[Incident] = []

    def run(self) -> Done:
        self._say("prime")
        size = arena_size(self._plan)
        self._arena.clear()
        self._arena.lay_out(size)
        self._arena.steps_created[:] = -1
        self._arena.header[Header.STARTS_DONE] = 0
        self._crew = Crew(self._arena, self._around.nursery, self._control, self._orders(size))
        try:
            self._wait_until_primed()
            notes = self._control.settle()
            vt_seconds = self._choose_vt()
        except BaseException:
            self._abort()
            raise
        before = self._read_server()
        self._origin_ns = monotonic_ns()
        origin_unix_ns = time.time_ns()
        self._extra += [Incident("settle", 0, "database", note) for note in notes]
        try:
            for name, state in (("create", State.CREATED), ("start", State.STARTED), ("process", State.PROCESSED)):
                self._phase(name, state)
        except RunFailed as failure:
            self._failure = failure
            self._arena.header[Header.STOP] = Stop.NOW
        statements, after = self._after_the_window()
        self._end_workers()
        return self._conclude(before, after, statements, origin_unix_ns, vt_seconds)

    # -- before the window

    def _say(self, phase: str) -> None:
        self._around.watch.phase(phase, self._plan.scenario, self._index)

    def _orders(self, size: ArenaSize) -> list[WorkerOrder]:
        first = ids.run_id(self._nonce, 0).bytes
        cpus = dict(self._options.pin).get("worker", ())
        return [
            WorkerOrder(
                region=slot,
                slot=slot,
                size=size,
                conninfo=self._database.conninfo,
                embedded=self._around.embedded,
                worker_id=new_worker_id(),
                first_run_id=first,
                slug_prefix=self._database.slug_prefix,
                shape=self._plan.shape,
                flows=self._plan.flows,
                runs=self._plan.runs,
                options=self._options,
                cpus=cpus,
            )
            for slot in range(self._options.workers)
        ]

    def _wait_until_primed(self) -> None:
        deadline = time.monotonic() + _PRIME_SECONDS
        while not self._crew.all_at(State.PRIMED):
            self._around.interrupts.check()
            if time.monotonic() > deadline:
                raise SetUpFault(f"the workers were not primed within {_PRIME_SECONDS:g} s; is the server overloaded?")
            self._crew.watch(monotonic_ns(), stopping=False)
            time.sleep(0.002)

    def _choose_vt(self) -> int:
        task_ns = int(self._arena.words[: self._options.workers, Word.PRIMED_TASK_NS].max())
        cycle_seconds = task_ns * self._options.poll_size * self._options.workers / NS_PER_SECOND
        chosen = self._options.vt_seconds or max(LEAST_VT_SECONDS, round(_VT_CYCLES * cycle_seconds))
        self._arena.header[Header.VT_SECONDS] = chosen
        return chosen

    def _read_server(self) -> ServerReading | None:
        try:
            return self._control.read_server(self._crew.backends(), self._around.embedded)
        except psycopg.Error:
            return None

    # -- the window

    def _phase(self, name: str, state: State) -> None:
        if self._stopped is None:
            self._say(name)
        if state is State.PROCESSED:
            self._arena.header[Header.STARTS_DONE] = 1
        began = time.monotonic()
        self._arena.header[Header.PHASE] = state
        while not self._crew.all_at(state):
            now = time.monotonic()
            if state is State.PROCESSED:
                claimed = int(self._arena.words[:, Word.CLAIMED].sum())
                if self._arena.words[:, Word.PROCESS_FROM_NS].any():
                    self._gauge.add(claimed)
            if now >= self._next_housekeeping:
                self._next_housekeeping = now + _HOUSEKEEPING_SECONDS
                self._keep_house(now)
            if now >= self._next_tick:
                self._next_tick = now + _TICK_SECONDS
                self._around.watch.tick(self._progress(name, now - began))
            if self._arena.header[Header.STOP] >= Stop.NOW and now - self._stopped_at > _ABORT_SECONDS:
                return
            time.sleep(littles_law.pause_seconds(self._random))

    def _keep_house(self, now: float) -> None:
        stopping = self._arena.header[Header.STOP] >= Stop.NOW
        try:
            for note in self._crew.watch(self._origin_ns, stopping=stopping):
                self._around.watch.note(note)
        except psycopg.Error:
            raise RunFailed("the database went away while workers were being replaced") from None
        except SetUpFault as fault:
            raise RunFailed(str(fault)) from None
        if self._crew.replaced and self._all_done():
            self._arena.header[Header.STOP] = max(self._arena.header[Header.STOP], Stop.DRAIN)
        if self._around.interrupts.count >= 2:
            self._stop(Stopped.INTERRUPTED, Stop.NOW)
        elif self._around.interrupts.count == 1:
            self._stop(Stopped.INTERRUPTED, Stop.DRAIN)
        elif monotonic_ns() - self._origin_ns > self._options.timeout_seconds * NS_PER_SECOND:
            self._stop(Stopped.TIMED_OUT, Stop.DRAIN)
        elif self._stalled(now):
            self._stop(Stopped.STALLED, Stop.DRAIN)
        if self._stopped and now - self._stopped_at > self._options.drain_timeout_seconds:
            self._stop(self._stopped, Stop.NOW)

    def _all_done(self) -> bool:
        return bool((self._arena.ledger & LedgerBit.COMPLETED).all())

    def _stop(self, why: Stopped, how: Stop) -> None:
        if self._arena.header[Header.STOP] >= how:
            return
        if self._stopped is None:
            self._stopped = why
        self._stopped_at = time.monotonic()
        self._arena.header[Header.STOP] = how
        if how is Stop.NOW:
            self._terminate()

    def _terminate(self) -> None:
        try:
            self._control.terminate(self._crew.backends())
        except psycopg.Error:
            pass  # the database is gone, and the backends with it

    def _stalled(self, now: float) -> bool:
        answered = int(self._arena.words[:, Word.STATEMENTS].sum()) + int(self._arena.words[:, Word.TASKS_COMPLETED].sum())
        answered -= int(self._arena.words[:, Word.EMPTY_POLLS].sum())
        if answered != self._progress_mark[0]:
            self._progress_mark = (answered, now)
            return False
        if now - self._progress_mark[1] < self._options.stall_timeout_seconds:
            return False
        try:
            if self._control.working(self._crew.backends()) or self._control.due_later(self._database.slug_prefix):
                # Look again in a while, not at each turn.
                self._progress_mark = (answered, now - self._options.stall_timeout_seconds + _STALL_CHECK_SECONDS)
                return False
        except psycopg.Error:
            raise RunFailed("the database went away: it no longer answers") from None
        return True

    def _progress(self, phase: str, elapsed: float) -> Progress:
        words, plan = self._arena.words, self._plan
        started = int(words[:, Word.RUNS_STARTED].sum())
        completed = int(words[:, Word.TASKS_COMPLETED].sum())
        done, total = {
            "create": (int(words[:, Word.STEPS_CREATED].sum()), plan.steps_created),
            "start": (started, plan.runs),
        }.get(phase, (completed, plan.expected_tasks))
        return Progress(
            scenario=plan.scenario,
            repetition=self._index,
            repetitions=self._options.repetitions + self._options.warmup,
            warmup=self._warmup,
            phase=phase,
            done=done,
            total=total,
            elapsed_seconds=elapsed,
            backlog=started * plan.shape.tasks_per_run - completed,
            errors=int(words[:, Word.ERRORS_RETRIED].sum() + words[:, Word.ERRORS_FAILED].sum()),
        )

    # -- after the window

    def _after_the_window(self) -> tuple[list[Json] | None, ServerReading | None]:
        try:
            after = self._control.read_server(self._crew.backends(), self._around.embedded)
            return (self._control.statements() if self._control.has_statements() else None), after
        except psycopg.Error:
            return None, None

    def _end_workers(self) -> None:
        self._arena.header[Header.PHASE] = State.ENDED
        if self._failure is not None or self._arena.header[Header.STOP] >= Stop.NOW:
            self._terminate()
        if not self._crew.wait_for_end(_ABORT_SECONDS):
            self._abort()

    def _abort(self) -> None:
        self._arena.header[Header.STOP] = Stop.NOW
        self._terminate()
        if not self._crew.wait_for_end(_ABORT_SECONDS):
            raise RunFailed("workers did not end when told to")

    def _conclude(
        self,
        before: ServerReading | None,
        after: ServerReading | None,
        statements: list[Json] | None,
        origin_unix_ns: int,
        vt_seconds: int,
    ) -> Done:
        accounts = take_accounts(self._arena, self._origin_ns)
        if accounts.window_seconds <= 0:
            if self._failure is not None:
                raise self._failure
            raise Interrupted("interrupted before anything was measured")
        if self._stopped is not Stopped.INTERRUPTED or self._around.interrupts.count < 2:
            self._say("audit")
        found = self._audit(accounts)
        tasks = self._tasks(accounts, found)
        workers = self._options.workers
        client = client_cost(self._arena, workers, accounts)
        residence = int(self._arena.words[:, Word.RESIDENCE_NS].sum())
        process_seconds = accounts.phases["process"].seconds
        client["littles_law"] = littles_law.check(self._gauge, residence, process_seconds)
        repetition = Repetition(
            index=self._index,
            warmup=self._warmup,
            interrupted=self._stopped is Stopped.INTERRUPTED or self._failure is not None,
            window={"seconds": accounts.window_seconds},
            phases=accounts.phases,
            tasks=tasks,
            events={"transport": "none"},
            audit=found.audit,
            incidents=self._incidents(vt_seconds, client),
            client=client,
            server=self._server(before, after, statements, accounts),
            lost_worker=self._crew.replaced,
        )
        self._around.record(
            Recording(
                index=self._index,
                warmup=self._warmup,
                origin_ns=self._origin_ns,
                origin_unix_ns=origin_unix_ns,
                to_ns=accounts.window_to_ns,
                histograms=accounts.histograms,
                left_out=client["rows_left_out"],
                rows=rows_of(self._arena, self._crew.titles),
            )
        )
        endings = tuple(self._endings(repetition))
        by_slot = [0] * workers
        for region, title in self._crew.titles.items():
            by_slot[int(title.split()[1])] += int(self._arena.words[region, Word.TASKS_COMPLETED])
        goes_on = self._stopped is None and self._failure is None
        return Done(repetition, endings, vt_seconds, tuple(by_slot), goes_on)

    def _audit(self, accounts: Accounts) -> Found:
        whole = self._stopped is None and self._failure is None and self._options.orphans is not Orphans.LEAVE
        given = AuditInput(
            slug_prefix=self._database.slug_prefix,
            nonce=self._nonce,
            shape=self._plan.shape,
            expected_tasks=accounts.runs_started * self._plan.shape.tasks_per_run,
            ledger=self._arena.ledger,
            whole=whole,
        )
        try:
            return audit(self._control.connection, given)
        except psycopg.OperationalError:
            return unreachable()

    def _tasks(self, accounts: Accounts, found: Found) -> Tasks:
        expected = accounts.runs_started * self._plan.shape.tasks_per_run
        left = max(0, expected - accounts.tasks_completed)
        failed = min(found.failed, left)
        abandoned = min(found.abandoned, left - failed)
        left -= failed + abandoned
        unreachable_claims = min(left, accounts.tasks_claimed_open) if not found.audit.checks[0].expected == 0 else 0
        left -= unreachable_claims
        late = self._stopped in (Stopped.TIMED_OUT, Stopped.STALLED)
        return Tasks(
            expected=expected,
            completed=accounts.tasks_completed,
            failed=failed,
            timed_out=left if late else 0,
            unfinished=0 if late else left,
            abandoned=abandoned,
            indeterminate=unreachable_claims,
        )

    def _incidents(self, vt_seconds: int, client: Json) -> tuple[Incident, ...]:
        found = [*self._crew.incidents, *self._extra]
        found += [
            Incident(
                "refused",
                max(0, refusal.first_ns - self._origin_ns),
                refusal.operation,
                f"{refusal.sqlstate} x {refusal.count} ({refusal.retried} retried): {refusal.text}",
            )
            for refusal in refusals(self._arena)
        ]
        if client["longest_cycle_ns"] > vt_seconds * NS_PER_SECOND:
            found.append(
                Incident(
                    "vt exceeded",
                    0,
                    "cycle",
                    f"the longest cycle took {client['longest_cycle_ns'] / NS_PER_SECOND:.1f} s and messages became "
                    f"visible again after {vt_seconds} s; give a larger --vt or a smaller --poll-size",
                )
            )
        if self._stopped is not None:
            at_ns = round(self._stopped_at * NS_PER_SECOND) - self._origin_ns
            found.append(Incident(str(self._stopped), max(0, at_ns), "repetition"))
        return tuple(sorted(found, key=lambda incident: incident.at_ns))

    def _server(
        self, before: ServerReading | None, after: ServerReading | None, statements: list[Json] | None, taken: Accounts
    ) -> Json:
        server: Json = {"cpu_ns_per_task": None, "wal_bytes_per_task": None}
        if before is not None and after is not None and taken.tasks_completed:
            if before.wal_bytes is not None and after.wal_bytes is not None:
                server["wal_bytes_per_task"] = (after.wal_bytes - before.wal_bytes) / taken.tasks_completed
            if before.cpu_ns is not None and after.cpu_ns is not None and not self._crew.replaced:
                server["cpu_ns_per_task"] = (after.cpu_ns - before.cpu_ns) / taken.tasks_completed
        if statements is not None:
            server["statements"] = statements
        return server

    def _endings(self, repetition: Repetition) -> list[Ending]:
        which = f"{self._plan.scenario}, repetition {self._index}"
        endings = []
        if self._failure is not None:
            endings.append(Ending(ExitCode.RUN_FAILED, f"{which}: {self._failure}"))
        if self._stopped is Stopped.INTERRUPTED:
            endings.append(Ending(ExitCode.INTERRUPTED, f"{which}: interrupted, {repetition.tasks.unfinished:,} unfinished"))
        elif self._stopped is not None:
            endings.append(
                Ending(ExitCode.TIMED_OUT, f"{which}: {self._stopped}, {repetition.tasks.timed_out:,} tasks left")
            )
        if not repetition.audit.ok and self._failure is None and self._around.interrupts.count < 2:
            bad = next(check for check in repetition.audit.checks if not check.ok)
            first = ", ".join(bad.ids[:3])
            endings.append(
                Ending(
                    ExitCode.CHECK_FAILED,
                    f"{which}: audit failed: {bad.name}: expected {bad.expected}, found {bad.found}"
                    + (f" ({first}{', …' if len(bad.ids) > 3 else ''})" if first else ""),
                )
            )
        return endings
