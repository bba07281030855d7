"""The window: the coordinator steps the phase word, looks at the arena, and sees to losses, limits and signals."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
import psycopg

from pgflow_stress.core.arena import Arena, Header, LedgerBit, RunWord, Stop, Word
from pgflow_stress.core.errors import RunFailed, SetUpFault
from pgflow_stress.core.progress import Progress, Watch
from pgflow_stress.core.telemetry import House, SamplerWord
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine import littles_law
from pgflow_stress.engine.chosen import Chosen
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.crew import Crew
from pgflow_stress.engine.faults.injector import Injector
from pgflow_stress.engine.gauges import GaugeReader
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.observation import Observation
from pgflow_stress.engine.orders import State
from pgflow_stress.engine.starting import Starters
from pgflow_stress.engine.vitals import sleep
from pgflow_stress.scenario.events import events_expected
from pgflow_stress.scenario.plan import Plan
from pgflow_stress_hot.clock import monotonic_ns

ABORT_SECONDS = 3.0  # how long workers that are told to end at once are waited for
_TICK_SECONDS = 0.1
_HOUSEKEEPING_SECONDS = 0.02
_STALL_CHECK_SECONDS = 1.0
_DELIVER_SLEEP_SECONDS = 0.002
_WORK_AT_MOST = 0.99999  # share of simulated work
_COUNTS = {  # of a repetition, that are told while it goes on
    "steps_created": Word.STEPS_CREATED,
    "runs_started": Word.RUNS_STARTED,
    "tasks_completed": Word.TASKS_COMPLETED,
    "events_received": Word.RECEIVED,
    "statements": Word.STATEMENTS,
    "polls": Word.POLLS,
    "empty_polls": Word.EMPTY_POLLS,
    "errors_retried": Word.ERRORS_RETRIED,
    "errors_failed": Word.ERRORS_FAILED,
}
_PHASES = (("create", State.CREATED), ("start", State.STARTED), ("process", State.PROCESSED))


class Stopped(StrEnum):
    """Why a repetition ended before its work did."""

    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed out"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Watched:
    """How the window went; stamps are CLOCK_MONOTONIC ns."""

    origin_ns: int
    stopped: Stopped | None
    stopped_at_ns: int
    failure: RunFailed | None
    gauge: littles_law.Gauge


class Window:
    """Runs the phases of one repetition over its crew."""

    def __init__(
        self,
        plan: Plan,
        index: int,
        warmup: bool,
        chosen: Chosen,
        arena: Arena,
        crew: Crew,
        control: Control,
        interrupts: Interrupts,
        watch: Watch,
        observation: Observation | None = None,
        starters: Starters | None = None,
        injector: Injector | None = None,
    ) -> None:
        """Nothing is sent before `run`."""
        self._plan = plan
        self._options = plan.options
        self._index = index
        self._warmup = warmup
        self._chosen = chosen
        self._arena = arena
        self._crew = crew
        self._control = control
        self._interrupts = interrupts
        self._watch = watch
        self._observation = observation
        self._starters = starters
        self._injector = injector
        self._origin_ns = 0
        self._stopped: Stopped | None = None
        self._stopped_at_ns = 0
        self._gauge = littles_law.Gauge()
        self._shown = GaugeReader(arena)
        self._random = random.Random(f"{plan.options.seed} {index}")
        self._next_tick = 0.0
        self._next_housekeeping = 0.0
        self._answered = -1
        self._answered_at = 0.0

    def run(self) -> Watched:
        """Step through create, start, process and deliver; a failure is kept, so that what was measured is not lost."""
        self._origin_ns = monotonic_ns()
        failure = None
        try:
            for name, state in _PHASES:
                if state is State.STARTED and self._starters is not None:
                    self._starters.begin()
                    self._arena.header[Header.PHASE] = state
                    continue  # runs are started while workers work
                self._phase(name, state)
            if self._observation is not None and not self._observation.lost:
                self._deliver(self._observation)
        except RunFailed as fault:
            failure = fault
            self._arena.header[Header.STOP] = Stop.NOW
        finally:
            if self._injector is not None:
                self._injector.end()
        return Watched(self._origin_ns, self._stopped, self._stopped_at_ns, failure, self._gauge)

    def _phase(self, name: str, state: State) -> None:
        if self._stopped is None:
            self._watch.phase(name, self._plan.scenario, self._index)
        if state is State.PROCESSED:
            self._say_whether_all_is_started()
            if self._options.planner_statistics == "backlog" and self._stopped is None:
                with contextlib.suppress(psycopg.Error):
                    self._control.analyze()
        strikes = state is State.PROCESSED and self._injector is not None and self._stopped is None
        if strikes:
            with contextlib.suppress(psycopg.Error):
                self._control.make_durable()
        began = time.monotonic()
        pause_seconds = littles_law.mean_pause_seconds(0.0)
        self._arena.header[Header.PHASE] = state
        if strikes and self._injector is not None:
            self._injector.begin()
        while not self._crew.all_at(state):
            now = time.monotonic()
            if state is State.PROCESSED and self._arena.words[:, Word.PROCESS_FROM_NS].any():
                self._gauge.add(int(self._arena.words[:, Word.CLAIMED].sum()), pause_seconds)
            if now >= self._next_housekeeping:
                self._next_housekeeping = now + _HOUSEKEEPING_SECONDS
                self._keep_house(now)
            if now >= self._next_tick:
                self._next_tick = now + _TICK_SECONDS
                self._watch.tick(self._progress(name, now - began))
            if self._arena.header[Header.STOP] >= Stop.NOW and (
                self._crew.all_ended or self._since_stop() > ABORT_SECONDS
            ):
                return
            pause_seconds = littles_law.mean_pause_seconds(now - began)
            sleep(littles_law.pause_seconds(self._random, pause_seconds), self._arena.house[House.COORDINATOR])
        if state is State.PROCESSED:  # between the other phases nobody is to wait for it
            self._watch.tick(self._progress(name, time.monotonic() - began))

    def _deliver(self, observation: Observation) -> None:
        """Wait until the observer has received all that was sent: a mark after it says so."""
        if self._stopped is None:
            self._watch.phase("deliver", self._plan.scenario, self._index)
        began = time.monotonic()
        while not observation.arrived() and not observation.lost:
            if self._arena.header[Header.STOP] >= Stop.NOW:
                return
            now = time.monotonic()
            try:
                observation.mark()
            except psycopg.Error:
                raise RunFailed("the database went away before all events were received") from None
            if now >= self._next_housekeeping:
                self._next_housekeeping = now + _HOUSEKEEPING_SECONDS
                self._keep_house(now)
            if now >= self._next_tick:
                self._next_tick = now + _TICK_SECONDS
                self._watch.tick(self._progress("deliver", now - began))
            time.sleep(_DELIVER_SLEEP_SECONDS)
        self._watch.tick(self._progress("deliver", time.monotonic() - began))

    def _most_seconds(self) -> float:
        # --timeout counts from the end of --duration, where there is one.
        return self._options.timeout_seconds + (self._options.duration_seconds or 0.0)

    def _since_stop(self) -> float:
        return (monotonic_ns() - self._stopped_at_ns) / NS_PER_SECOND

    def _keep_house(self, now: float) -> None:
        self._see_to_losses()
        if self._crew.replaced and self._all_completed():
            # A worker can die between a task's place in the ledger and its count: the ledger decides.
            self._arena.header[Header.STOP] = max(int(self._arena.header[Header.STOP]), Stop.DRAIN)
        if self._interrupts.count:
            self._stop(Stopped.INTERRUPTED, Stop.NOW if self._interrupts.count > 1 else Stop.DRAIN)
        elif monotonic_ns() - self._origin_ns > self._most_seconds() * NS_PER_SECOND:
            self._stop(Stopped.TIMED_OUT, Stop.DRAIN)
        elif self._stalled(now):
            self._stop(Stopped.STALLED, Stop.DRAIN)
        if self._stopped and self._since_stop() > self._options.drain_timeout_seconds:
            self._stop(self._stopped, Stop.NOW)

    def _all_completed(self) -> bool:
        arena = self._arena
        if not arena.header[Header.STARTS_DONE]:
            return False
        completed = (arena.ledger & LedgerBit.COMPLETED) > 0
        going = (arena.runs[:, RunWord.STARTED_NS] > 0) & (arena.runs[:, RunWord.FAILED_NS] == 0)
        if going.all():
            return bool(completed.all())
        return bool(completed[np.repeat(going, arena.tasks_of_runs)].all())

    def _say_whether_all_is_started(self) -> None:
        done = self._starters is None or self._starters.done() or self._arena.header[Header.STOP] != Stop.RUN
        kept = self._injector is not None and self._injector.keeps_at_work
        self._arena.header[Header.STARTS_DONE] = int(done and not kept)

    def _see_to_losses(self) -> None:
        stopping = bool(self._arena.header[Header.STOP] >= Stop.NOW)
        try:
            if self._starters is not None:
                self._starters.watch()
                self._starters.close_when_due()
            if self._starters is not None or self._arena.header[Header.PHASE] >= State.PROCESSED:
                self._say_whether_all_is_started()
            notes = self._crew.watch(self._origin_ns, stopping=stopping)
            if self._injector is not None:
                notes += self._injector.notes()
            if self._observation is not None:
                notes += self._observation.watch(self._origin_ns)
            for note in notes:
                self._watch.note(note)
        except psycopg.Error:
            raise RunFailed("the database went away while a lost worker was to be replaced") from None
        except SetUpFault as fault:
            raise RunFailed(str(fault)) from None

    def _stop(self, why: Stopped, how: Stop) -> None:
        if self._arena.header[Header.STOP] >= how:
            return
        self._stopped = self._stopped or why
        self._stopped_at_ns = monotonic_ns()
        self._arena.header[Header.STOP] = how
        if self._injector is not None:
            self._injector.cancel()
        if how is Stop.NOW:
            terminate(self._control, self._crew, self._starters)

    def _stalled(self, now: float) -> bool:
        words = self._arena.words
        answered = int(words[:, [Word.STATEMENTS, Word.RECEIVED]].sum() - words[:, Word.EMPTY_POLLS].sum())
        if answered != self._answered:
            self._answered, self._answered_at = answered, now
            return False
        if now - self._answered_at < self._options.stall_timeout_seconds + self._work_seconds():
            return False
        if self._plan.load_model == "open" and not self._arena.header[Header.STARTS_DONE]:
            return False  # a gap in the schedule
        if self._injector is not None and self._injector.active:
            self._answered_at = now  # it stands still because of it
            return False
        try:
            excused = self._control.working(self._crew.backends()) or self._control.due_later(self._chosen)
        except psycopg.Error:
            raise RunFailed("the database went away: it no longer answers") from None
        if excused:
            self._answered_at = now - self._options.stall_timeout_seconds + _STALL_CHECK_SECONDS
        return not excused

    def _work_seconds(self) -> float:
        """Longer than that no handler is at work that is simulated."""
        if not self._arena.words[:, Word.CLAIMED].any():
            return 0.0
        return self._options.work.quantile_ns(_WORK_AT_MOST) / NS_PER_SECOND

    def _progress(self, phase: str, elapsed_seconds: float) -> Progress:
        plan, counts = self._plan, self._counts()
        done, total = {
            "create": (counts["steps_created"], plan.steps_created),
            "start": (counts["runs_started"], plan.runs),
            "deliver": (
                counts["events_received"],
                round(counts["runs_started"] * events_expected(plan.work) / max(1, plan.runs)),
            ),
        }.get(phase, (counts["tasks_completed"], plan.expected_tasks))
        return Progress(
            scenario=plan.scenario,
            repetition=self._index,
            repetitions=plan.repetitions,
            warmup=self._warmup,
            phase=phase,
            done=done,
            total=total,
            elapsed_seconds=elapsed_seconds,
            backlog=int(self._arena.started.sum() - self._arena.done.sum()),
            errors=counts["errors_retried"] + counts["errors_failed"],
            schedule_seconds=self._options.duration_seconds if phase == "process" and plan.concurrent else None,
            read_gauges=partial(self._shown.read, phase),
            counts=counts,
            read_series=self._shown.series,
        )

    def _counts(self) -> dict[str, int]:
        sums = self._arena.words[:, list(_COUNTS.values())].sum(axis=0).tolist()
        sampler = self._arena.sampler
        ticks, missed = int(sampler[SamplerWord.TICKS]), int(sampler[SamplerWord.MISSED])
        return {**dict(zip(_COUNTS, sums, strict=True)), "sampler_ticks": ticks, "sampler_ticks_missed": missed}


def terminate(control: Control, crew: Crew, starters: Starters | None = None) -> None:
    """End the workers' and starters' backends and what they execute, where the database still answers."""
    with contextlib.suppress(psycopg.Error):
        control.terminate([*crew.backends(), *(starters.backends() if starters else ())])
