"""A worker's or starter's connection, ready for the hot path; had again where it was lost, and doubts settled.

Only where losing it is expected: with faults. Else a worker that loses its connection ends, and another is forked.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.engine.adoption import adopt, complete_again
from pgflow_stress.engine.child import connect, own_backend
from pgflow_stress.engine.driver import inputs_of
from pgflow_stress.engine.orders import WorkerOrder, flow_slugs
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.engine.statements import statements_of
from pgflow_stress.engine.taking_back import lost_since, recently_started, start_again, take_back, wait_until_all_have
from pgflow_stress.scenario.options import Orphans
from pgflow_stress_hot.account import Account

Settle = Callable[[psycopg.Connection[Any]], None]

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 1.0
_BACKEND_LEAVES_SECONDS = 5.0  # after that it is terminated: nothing of it may still commit
_LOOK_SECONDS = 0.005

_REGISTER = """
insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'pgflow-stress')
on conflict (worker_id) do nothing
"""
# By its name as well: another session may have got the number of one that is gone.
_STILL_THERE = "select from pg_stat_activity where pid = %s and application_name = %s"


def prepared_connection(arena: Arena, order: WorkerOrder, title: str) -> psycopg.Connection[Any]:
    """Connected, known to pgflow, every statement prepared.

    Raises:
        psycopg.Error: it could not be had.
    """
    connection = connect(arena, order, title)
    backend = own_backend(order, connection)
    pin_backend(backend, order.backend_cpus)
    connection.execute(_REGISTER, (order.worker_id.hex(), order.slug_prefix))
    if order.pooler is None or order.pooler.prepares:
        for statement in statements_of(order):
            connection.pgconn.prepare(statement.name, statement.sql, statement.types)
    arena.words[order.region, Word.BACKEND_PID] = backend
    return connection


def reconnect(
    arena: Arena, order: WorkerOrder, lost: psycopg.Connection[Any], account: Account
) -> psycopg.Connection[Any]:
    """A connection instead of a worker's lost one, with what it had started, claimed and completed settled.

    Raises:
        psycopg.Error: not within --reconnect-budget.
    """
    words = arena.words[order.region]
    words[Word.CLAIMED] = 0
    own = replace(
        order,
        replaces_worker_id=order.worker_id,
        replaces_earlier=(),
        options=replace(order.options, orphans=Orphans.COMPLETE),
    )

    def settle(connection: psycopg.Connection[Any]) -> None:
        crashed_ns = lost_since(connection, int(words[Word.BIRTH_NS]))
        if crashed_ns:
            mine = range(order.slot, order.work.runs, order.options.workers) if order.starts else range(0)
            flows, inputs = (
                flow_slugs(order.slug_prefix, order.work),
                inputs_of(order.work, order.options.payload_bytes),
            )
            start_again(connection, account, recently_started(arena, mine), flows, inputs)
            take_back(arena, order, connection, account)
            wait_until_all_have(arena, order, crashed_ns)
        complete_again(own, connection, arena)
        adopt(own, connection, account)

    return again(arena, order, lost, f"worker {order.slot}", settle)


def again(
    arena: Arena, order: WorkerOrder, lost: psycopg.Connection[Any], title: str, settle: Settle
) -> psycopg.Connection[Any]:
    """Connect with growing pauses until it can be settled what the lost connection left.

    Args:
        settle: asked with the new connection once the lost one's backend is gone.
    Raises:
        psycopg.Error: not within the budget.
    """
    deadline = time.monotonic() + order.options.reconnect_seconds
    backend, pause_seconds = int(arena.words[order.region, Word.BACKEND_PID]), _FIRST_PAUSE_SECONDS
    connection = lost
    while True:
        with contextlib.suppress(psycopg.Error):
            connection.close()
        try:
            connection = prepared_connection(arena, order, title)
            _wait_until_gone(connection, backend, f"pgflow-stress: {title}")
            settle(connection)
        except psycopg.OperationalError:
            if time.monotonic() > deadline or arena.header[Header.STOP] >= Stop.NOW:
                raise
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            continue
        arena.words[order.region, Word.RECONNECTS] += 1
        return connection


def _wait_until_gone(connection: psycopg.Connection[Any], backend: int, name: str) -> None:
    """Until nothing that was sent to the lost connection can commit any more."""
    deadline = time.monotonic() + _BACKEND_LEAVES_SECONDS
    while backend != connection.info.backend_pid and connection.execute(_STILL_THERE, (backend, name)).fetchone():
        if time.monotonic() > deadline:
            connection.execute("select pg_terminate_backend(%s)", (backend,))
        time.sleep(_LOOK_SECONDS)
