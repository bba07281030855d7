"""One repetition: prime, then create, start and process behind a barrier each, then audit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psycopg

from pgflow_stress.core import ids
from pgflow_stress.core.arena import Arena, ArenaSize, Header, Stop, Word
from pgflow_stress.core.errors import Interrupted, RunFailed, SetUpFault
from pgflow_stress.core.progress import Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.core.telemetry import House, Vital
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.accounts import rows_of, take_accounts
from pgflow_stress.engine.alongside import Alongside
from pgflow_stress.engine.chosen import chosen_of
from pgflow_stress.engine.conclusion import Grounds, Subject, conclude, endings, examine, grounds
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.crew import Crew, new_worker_id
from pgflow_stress.engine.faults.disturbance import Disturbance
from pgflow_stress.engine.host_cpu import cpu_shares, cpus_in_use, read_cpu
from pgflow_stress.engine.hosts.among import OpenGate, among_hosts
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.observation import Means, Observation
from pgflow_stress.engine.orders import Role, State, WorkerOrder, pooled_name, shares_backends
from pgflow_stress.engine.plans import Plans, PlanWatch, compared
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.profiling.profiler import Profiler
from pgflow_stress.engine.sampler_handle import SamplerHandle
from pgflow_stress.engine.server_readings import read_after, read_before, still_true
from pgflow_stress.engine.sizing import arena_size, one_second_in, starter_regions
from pgflow_stress.engine.starting import Starters
from pgflow_stress.engine.telemetry_accounts import take_sampled
from pgflow_stress.engine.vitals import begin_window, collections_counted
from pgflow_stress.engine.window import ABORT_SECONDS, Window, terminate
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database, Isolation, Restart
from pgflow_stress_hot.clock import monotonic_ns

if TYPE_CHECKING:
    from pgflow_stress.engine.hosts.gate import Gate

LEAST_VT_SECONDS = 15
_VT_CYCLES = 20  # the visibility outlasts this many cycles as long as the primed tasks said
_WORK_WITHIN_VT = 0.999  # share of simulated work that it outlasts; what comes round again is not started twice
_PRIME_SECONDS = 120.0
_FAULTS_PATIENCE_SECONDS = 30.0


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
    restart: Restart | None = None  # of a server that is ours
    inspect: Callable[[Database, Grounds], None] | None = None  # the finished database, before it is released
    gate: Gate | OpenGate = field(default_factory=OpenGate)  # of a host among several


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
    try:
        options, hurried = around.plan.options, around.interrupts
        patience_seconds = max(options.reconnect_seconds, _FAULTS_PATIENCE_SECONDS if options.faults else 0.0)
        shared = pooled_name(database.slug_prefix) if shares_backends(database.pooler) else ""
        control = Control(database.conninfo, patience_seconds, lambda: hurried.count > 1, shared)
    except psycopg.Error as error:
        raise SetUpFault(f"cannot connect to database {database.name}: {error}".splitlines()[0]) from None
    try:
        around.gate.meet(control, index, around.interrupts.check)
    except BaseException:
        control.close()
        raise
    plan_watch = PlanWatch(database.conninfo, database.slug_prefix, ids.run_id(nonce, 0).bytes)
    profiler = _profiler(around, control, database, warmup=warmup)
    disturbance = alongside = None
    try:
        server = control.connection.info
        disturbance = Disturbance(around.plan, around.nursery, database, nonce, index, around.restart, server)
        alongside = Alongside(around.plan, around.nursery, database, around.embedded, nonce, around.interrupts)
        return _measure(around, database, control, plan_watch, profiler, disturbance, alongside, nonce, index, warmup)
    finally:
        if alongside is not None:
            alongside.close()
        if disturbance is not None:
            disturbance.close()
        if profiler is not None:
            profiler.close()
        plan_watch.close()
        control.close()


def _measure(
    around: Surroundings,
    database: Database,
    control: Control,
    plan_watch: PlanWatch,
    profiler: Profiler | None,
    disturbance: Disturbance,
    alongside: Alongside,
    nonce: int,
    index: int,
    warmup: bool,
) -> Done:
    plan, arena, hurried = around.plan, around.arena, around.interrupts
    around.watch.phase("prime", plan.scenario, index)
    size = _lay_out(arena, plan)
    struck = [replace(order, conninfo=disturbance.conninfo) for order in _orders(around, database, size, nonce)]
    crew = Crew(arena, around.nursery, control, struck)
    starters: Starters | None = None
    observation: Observation | None = None
    sampler = SamplerHandle(arena, around.nursery, plan, database, around.embedded) if plan.samples(index) else None
    try:
        plans = plan_watch.look()  # while the workers prime: it takes no time of its own
        if plan.concurrent:
            starters = Starters(arena, around.nursery, plan, _starter_orders(around, database, size, nonce))
        _wait_until_primed(around, crew, starters)
        if plan.observes(index):
            means = Means(arena, around.nursery, control, around.interrupts)
            observation = Observation(means, plan, database, around.embedded, nonce)
        notes, vt_seconds = _settle(around, control)
        alongside.begin(arena)
        begin_window(arena.house[House.COORDINATOR])
        before = read_before(control, sampler, profiler, alongside)
        cpus = cpus_in_use(dict(plan.options.pin))
        cpu_before = read_cpu(cpus)
        around.gate.go(around.interrupts.check)
    except BaseException:
        _end_children(arena, crew, control, starters, observation, sampler, at_once=True)
        raise
    origin_unix_ns = time.time_ns()
    window = Window(
        plan,
        index,
        warmup,
        chosen_of(plan.work, database.slug_prefix, nonce),
        arena,
        crew,
        control,
        around.interrupts,
        around.watch,
        observation,
        starters,
        disturbance.prepare(arena, crew),
    )
    with collections_counted(arena.house[House.COORDINATOR]):
        watched = window.run()
    arena.house[House.COORDINATOR, Vital.RSS_PEAK_BYTES] = rss_peak_bytes()
    shares = cpu_shares(cpu_before, read_cpu(cpus))
    # Before the server is read: its counters are of all hosts, so they are read when all have ended.
    clock = around.gate.ended(control, watched.origin_ns, lambda: hurried.count > 0)
    readings = read_after(control, sampler, profiler, still_true(before, control, disturbance), shares, alongside)
    alongside.end(hurried=watched.stopped is not None or watched.failure is not None)
    _end_children(arena, crew, control, starters, observation, sampler, at_once=watched.failure is not None)
    orderly = watched.stopped is None and watched.failure is None
    readings = replace(
        readings,
        plans=_plans(plan_watch, plans) if orderly else {},
        profile={} if profiler is None else profiler.conclude(plan_watch if orderly else None),
    )
    taken = take_accounts(arena, watched.origin_ns)
    if taken.window_seconds <= 0:
        raise watched.failure or Interrupted("interrupted before anything was measured")
    subject = Subject(
        plan,
        index,
        warmup,
        nonce,
        database.slug_prefix,
        database.isolation is not Isolation.PREFIX,
        vt_seconds,
        around.interrupts.count > 1,
        notes,
        disturbance.cuts,
    )
    around.watch.phase("audit", plan.scenario, index)
    examined = examine(subject, arena, control, taken, watched, observation, replaced=crew.replaced)
    sampled = (
        take_sampled(arena, plan, sampler.reason, taken.phases, watched.origin_ns, origin_unix_ns) if sampler else None
    )
    beside = (
        disturbance.aftermath(arena, crew, control, taken.phases["process"], watched.origin_ns),
        alongside.besides(arena, watched.origin_ns),
    )
    repetition = among_hosts(
        conclude(
            subject, arena, crew, taken, watched, examined, readings, observation.incidents if observation else (),
            sampled, *beside,
        ),
        clock,
    )  # fmt: skip
    around.record(
        Recording(
            index=index,
            warmup=warmup,
            origin_ns=watched.origin_ns,
            origin_unix_ns=origin_unix_ns,
            to_ns=taken.window_to_ns,
            histograms=taken.histograms,
            left_out=repetition.client["rows_left_out"],
            rows=rows_of(arena, _titles(crew, starters, observation)),
            telemetry=sampled.points if sampled else None,
            call_graphs=profiler.speedscope if profiler else None,
        )
    )
    if around.inspect is not None and examined.found.reached:
        around.inspect(database, grounds(subject, arena, watched, observation, replaced=crew.replaced))
    return Done(repetition, endings(subject, repetition, watched), vt_seconds, _by_slot(arena, crew), orderly)


def _by_slot(arena: Arena, crew: Crew) -> tuple[int, ...]:
    return tuple(int(arena.words[regions, Word.TASKS_COMPLETED].sum()) for regions in crew.regions_by_slot())


def _profiler(around: Surroundings, control: Control, database: Database, *, warmup: bool) -> Profiler | None:
    options = around.plan.options
    if not options.profiled or warmup:
        return None
    return Profiler(control, around.arena, database.slug_prefix, call_graphs=options.call_graphs)


def _lay_out(arena: Arena, plan: Plan) -> ArenaSize:
    """An arena for this plan with nothing in it but which run is of which flow."""
    size = arena_size(plan)
    arena.clear()
    arena.lay_out(size)
    arena.steps_created[:] = -1
    arena.header[Header.ONE_SECOND_IN] = one_second_in(plan)
    run_flow = plan.work.run_flow()
    arena.deal(run_flow, plan.work.first_task(run_flow))
    return size


def _titles(crew: Crew, starters: Starters | None, observation: Observation | None) -> dict[int, str]:
    return crew.titles | (starters.titles if starters else {}) | (observation.titles if observation else {})


def _orders(around: Surroundings, database: Database, size: ArenaSize, nonce: int) -> list[WorkerOrder]:
    plan = around.plan
    return [
        WorkerOrder(
            region=slot,
            slot=slot,
            size=size,
            conninfo=database.for_workers,
            embedded=around.embedded,
            worker_id=new_worker_id(),
            first_run_id=ids.run_id(nonce, 0).bytes,
            slug_prefix=database.slug_prefix,
            work=plan.work,
            options=plan.options,
            cpus=dict(plan.options.pin).get("worker", ()),
            backend_cpus=dict(plan.options.pin).get("postgres", ()),
            starts=not plan.concurrent,
            pooler=database.pooler,
        )
        for slot in range(plan.options.workers)
    ]


def _starter_orders(around: Surroundings, database: Database, size: ArenaSize, nonce: int) -> list[WorkerOrder]:
    pinned = dict(around.plan.options.pin)
    like = _orders(around, database, size, nonce)[0]
    return [
        replace(
            like,
            region=region,
            slot=slot,
            worker_id=new_worker_id(),
            cpus=pinned.get("starter", pinned.get("worker", ())),
            role=Role.STARTER,
        )
        for slot, region in enumerate(starter_regions(size))
    ]


def _wait_until_primed(around: Surroundings, crew: Crew, starters: Starters | None) -> None:
    deadline = time.monotonic() + _PRIME_SECONDS
    while not (crew.all_at(State.PRIMED) and (starters is None or starters.all_at(State.PRIMED))):
        around.interrupts.check()
        if time.monotonic() > deadline:
            raise SetUpFault(f"the workers were not primed within {_PRIME_SECONDS:g} s; is the server overloaded?")
        crew.watch(monotonic_ns(), stopping=False)
        if starters is not None:
            starters.watch()
        time.sleep(0.002)


def _settle(around: Surroundings, control: Control) -> tuple[tuple[str, ...], int]:
    """The last before the window: what could not be settled, and the visibility; hosts go on together from here."""
    settled = control.settle(), _choose_vt(around.plan, around.arena)
    around.gate.ready(control, around.interrupts.check)
    return settled


def _choose_vt(plan: Plan, arena: Arena) -> int:
    options = plan.options
    task_ns = int(arena.words[: options.workers, Word.PRIMED_TASK_NS].max())
    cycle_seconds = task_ns * options.poll_size * options.workers / NS_PER_SECOND
    work_seconds = math.ceil(options.work.quantile_ns(_WORK_WITHIN_VT) / NS_PER_SECOND)
    chosen = options.vt_seconds or max(LEAST_VT_SECONDS, round(_VT_CYCLES * cycle_seconds)) + work_seconds
    arena.header[Header.VT_SECONDS] = chosen
    return chosen


def _plans(plan_watch: PlanWatch, before: Plans) -> Json:
    after = plan_watch.look()
    anew = plan_watch.look_anew()
    return {"plans_not_seen": plan_watch.why} if plan_watch.why else {"plans": compared(before, after, anew)}


def _end_children(
    arena: Arena,
    crew: Crew,
    control: Control,
    starters: Starters | None,
    observation: Observation | None,
    sampler: SamplerHandle | None,
    *,
    at_once: bool,
) -> None:
    if at_once:
        arena.header[Header.STOP] = Stop.NOW
    arena.header[Header.PHASE] = State.ENDED
    try:
        if observation is not None and not observation.arrived():
            arena.header[Header.STOP] = Stop.NOW  # it would wait for what will not come
        if arena.header[Header.STOP] >= Stop.NOW:
            terminate(control, crew, starters)
        if not crew.wait_for_end(ABORT_SECONDS):
            arena.header[Header.STOP] = Stop.NOW
            terminate(control, crew, starters)
            if not crew.wait_for_end(ABORT_SECONDS):
                raise RunFailed("workers did not end when they were told to")
        if starters is not None and not starters.wait_for_end(ABORT_SECONDS):
            raise RunFailed("starters did not end when they were told to")
        if observation is not None and not observation.wait_for_end(ABORT_SECONDS):
            raise RunFailed("the observer did not end when it was told to")
    finally:
        if sampler is not None:
            sampler.close()
        if observation is not None:
            observation.close()
