"""A starter process: connect, prime, start runs by the schedule, one at a time; it reports through the arena alone."""

from __future__ import annotations

import gc
from dataclasses import replace

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.child import connect, lead, wait_for
from pgflow_stress.engine.driver import END_DONE, END_LOST, END_STOPPED, inputs_of, make_account, note_warnings
from pgflow_stress.engine.orders import ChildExit, State, WorkerOrder, flow_slugs
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.engine.priming import prime
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.statements import statements_of
from pgflow_stress.engine.vitals import begin_window
from pgflow_stress.engine.work import hand_over
from pgflow_stress.scenario.options import Mode
from pgflow_stress_hot.connection import BorrowedConnection
from pgflow_stress_hot.recorder import Region
from pgflow_stress_hot.starting import Starter


def start(arena: Arena, order: WorkerOrder) -> int:
    """The whole life of a starter; its exit code. Runs in the forked child."""
    return lead(arena, order, f"starter {order.slot}", lambda region: _live(arena, order, region))


def _live(arena: Arena, order: WorkerOrder, region: Region) -> ChildExit:
    words = arena.words[order.region]
    single = replace(order, options=replace(order.options, creation=Mode.SINGLE))
    connection = connect(arena, order.conninfo, f"starter {order.slot}")
    words[Word.BACKEND_PID] = connection.info.backend_pid
    pin_backend(connection.info.backend_pid, order.backend_cpus)
    connection.execute(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'pgflow-stress')",
        (order.worker_id.hex(), order.slug_prefix),
    )
    options = single.options
    for statement in statements_of(single):
        connection.pgconn.prepare(statement.name, statement.sql, statement.types)
    words[Word.STATE] = State.CONNECTED
    account = make_account(
        arena, region, order.region, order.first_run_id, flow_slugs(order.slug_prefix, order.work), order.work
    )
    starter = Starter(account, inputs_of(order.work, options.payload_bytes))
    prime(single, connection)
    hand_over(connection)
    gc.collect()
    gc.freeze()
    gc.disable()
    begin_window(arena.vitals[order.region])
    words[Word.STATE] = State.PRIMED
    wait_for(arena, State.STARTED)
    with BorrowedConnection(connection, arena.header, piped=False) as borrowed:
        end = starter.run(borrowed)
        words[Word.NOTICES] = borrowed.notices
        words[Word.WARNINGS] = note_warnings(region, borrowed, Operation.START_FLOW)
    if end in (END_DONE, END_STOPPED) and arena.header[Header.STOP] < Stop.NOW:
        hand_over(connection)
    words[Word.RSS_PEAK_BYTES] = rss_peak_bytes()
    if end not in (END_DONE, END_STOPPED):
        return ChildExit.LOST_CONNECTION if end == END_LOST else ChildExit.REFUSED
    if arena.header[Header.STOP] >= Stop.NOW:
        return ChildExit.DONE
    words[Word.STATE] = State.STARTED
    wait_for(arena, State.ENDED)
    connection.close()
    words[Word.STATE] = State.ENDED
    return ChildExit.DONE
