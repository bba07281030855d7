"""A worker process: connect, prepare, prime, then obey the phase word; it reports through the arena alone."""

from __future__ import annotations

import gc
import mmap

import numpy as np
import numpy.typing as npt
import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.operations import Operation
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress.core.telemetry import POOL_BACKENDS, Vital
from pgflow_stress.engine.adoption import adopt
from pgflow_stress.engine.child import Ended, connect, lead, own_backend, wait_for
from pgflow_stress.engine.driver import END_DONE, END_LOST, END_STOPPED, Driver, make_account
from pgflow_stress.engine.orders import ChildExit, State, WorkerOrder, flow_slugs
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.engine.priming import prime
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.reconnecting import prepared_connection, reconnect
from pgflow_stress.engine.statements import PING, texts_of
from pgflow_stress.engine.vitals import begin_window
from pgflow_stress.engine.work import hand_over
from pgflow_stress.scenario.options import Mode
from pgflow_stress_hot.clock import monotonic_ns
from pgflow_stress_hot.connection import BorrowedConnection, round_trips
from pgflow_stress_hot.recorder import Region

_ROUND_TRIPS = 200
_LEAST_ROWS_TOUCHED = 4096
_PHASES = {State.CREATED: Driver.create, State.STARTED: Driver.start, State.PROCESSED: Driver.process}
_OF_ONE_CALL = (Word.CPU_FROM_NS, Word.WAITED_FOR_NS, Word.RUN_QUEUE_NS)


def work(arena: Arena, order: WorkerOrder) -> int:
    """The whole life of a worker; its exit code. Runs in the forked child."""

    def live(region: Region) -> ChildExit:
        _live(arena, order, region)
        return ChildExit.DONE

    return lead(arena, order, f"worker {order.slot}", live)


def _live(arena: Arena, order: WorkerOrder, region: Region) -> None:
    words = arena.words[order.region]
    connection = prepared_connection(arena, order, f"worker {order.slot}")
    pool = _connect_pool(arena, order)
    words[Word.STATE] = State.CONNECTED

    account = make_account(
        arena, region, order.region, order.first_run_id, flow_slugs(order.slug_prefix, order.work), order.work
    )
    driver = Driver(order, account, connection, arena.header, pool=pool)
    if order.replaces_region is None:
        _measure_round_trips(arena, region, order, connection)
        words[Word.PRIMED_TASK_NS] = prime(order, connection, pool)
        _touch(arena, order)
        _hand_over(connection, pool)
    gc.collect()
    gc.freeze()
    gc.disable()
    vitals = arena.vitals[order.region]
    begin_window(vitals)
    words[Word.STATE] = State.PRIMED
    if order.replaces_region is not None:
        wait_for(arena, State.CREATED)
        adopt(order, connection, account)

    worked_ns = 0  # by drivers before this one
    for state, phase in _PHASES.items():
        wait_for(arena, state)
        began_ns = monotonic_ns()
        end = phase(driver)
        while end == END_LOST and order.options.reconnect_seconds and arena.header[Header.STOP] < Stop.NOW:
            hot = words[list(_OF_ONE_CALL)].copy()
            connection = reconnect(arena, order, connection, account)
            notices, warnings = driver.notices, driver.warnings
            worked_ns += driver.work_ns
            driver = Driver(order, account, connection, arena.header)
            driver.notices, driver.warnings = notices, warnings
            end = phase(driver)
            _add_up(words, hot)
        vitals[Vital.HOT_NS] += monotonic_ns() - began_ns
        words[Word.NOTICES] = driver.notices
        words[Word.WARNINGS] = driver.warnings
        if end not in (END_DONE, END_STOPPED):
            _leave(arena, order, ChildExit.LOST_CONNECTION if end == END_LOST else ChildExit.REFUSED)
        if arena.header[Header.STOP] >= Stop.NOW:
            _leave(arena, order, ChildExit.DONE)
        if state is State.PROCESSED:
            vitals[Vital.WORK_NS] = worked_ns + driver.work_ns
            _hand_over(connection, pool)
        words[Word.STATE] = state
    words[Word.RSS_PEAK_BYTES] = rss_peak_bytes()
    wait_for(arena, State.ENDED)  # the backend stays while the coordinator reads what it cost
    for one in (connection, *pool):
        one.close()
    words[Word.STATE] = State.ENDED


def _connect_pool(arena: Arena, order: WorkerOrder) -> list[psycopg.Connection]:
    """The connections beside the first, where the worker's model has them; their backends are told in the arena."""
    if order.options.worker_model != "edge-worker":
        return []
    pool = []
    for place in range(order.options.max_pg_connections - 1):
        pool.append(connect(arena, order, f"worker {order.slot}"))
        backend = own_backend(order, pool[-1])
        pin_backend(backend, order.backend_cpus)
        arena.vitals[order.region, POOL_BACKENDS + place] = backend
    return pool


def _hand_over(connection: psycopg.Connection, pool: list[psycopg.Connection]) -> None:
    for one in (connection, *pool):
        hand_over(one)


def _add_up(words: npt.NDArray[np.int64], before: npt.NDArray[np.int64]) -> None:
    """Words that the cycle writes for one call of it: here for all calls, from the first one's begin."""
    cpu_from_ns, waited_ns, queued_ns = (int(value) for value in before)
    if cpu_from_ns:
        words[Word.CPU_FROM_NS] = cpu_from_ns
        words[Word.WAITED_FOR_NS] += waited_ns
        if words[Word.RUN_QUEUE_NS] >= 0:
            words[Word.RUN_QUEUE_NS] += max(0, queued_ns)


def _measure_round_trips(arena: Arena, region: Region, order: WorkerOrder, connection: psycopg.Connection) -> None:
    # Outside any window, on the connection that will be measured on.
    out_ns = np.zeros(_ROUND_TRIPS, dtype=np.int64)
    with BorrowedConnection(connection, arena.header, False, texts_of(order)) as borrowed:
        round_trips(borrowed, PING.name, out_ns)
    for round_trip_ns in out_ns[_ROUND_TRIPS // 10 :]:
        region.record(Operation.ROUND_TRIP, 0, 0, int(round_trip_ns))


def _touch(arena: Arena, order: WorkerOrder) -> None:
    # The kernel gives a page when it is first touched: not inside the window, where it would be the client's time.
    rows_per_task = 1.25 if order.options.completion is Mode.BATCH else 2.25
    tasks = len(arena.ledger)
    rows = min(order.size.rows, _LEAST_ROWS_TOUCHED + int(tasks * rows_per_task / order.options.workers))
    arena.row_bytes(order.region)[: rows * EVENT_DTYPE.itemsize : mmap.PAGESIZE] = 0
    arena.counts[order.region][: Operation.ROUND_TRIP + 1, :: mmap.PAGESIZE // 8] += 0
    if order.slot == 0:
        arena.ledger[:: mmap.PAGESIZE] |= 0
        arena.caused[:: mmap.PAGESIZE // 8] |= 0
        arena.runs[:: mmap.PAGESIZE // 64] |= 0


def _leave(arena: Arena, order: WorkerOrder, code: ChildExit) -> None:
    arena.words[order.region, Word.RSS_PEAK_BYTES] = rss_peak_bytes()
    raise Ended(code)
