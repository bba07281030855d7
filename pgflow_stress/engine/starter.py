"""A starter process: connect, prime, start runs by the schedule, one at a time; it reports through the arena alone."""

from __future__ import annotations

import gc
import select
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.child import lead, wait_for
from pgflow_stress.engine.driver import END_DONE, END_LOST, END_STOPPED, inputs_of, make_account, note_warnings
from pgflow_stress.engine.orders import ChildExit, State, WorkerOrder, flow_slugs
from pgflow_stress.engine.priming import prime
from pgflow_stress.engine.process import rss_peak_bytes
from pgflow_stress.engine.reconnecting import again, prepared_connection
from pgflow_stress.engine.statements import texts_of
from pgflow_stress.engine.taking_back import lost_since, recently_started, start_again
from pgflow_stress.engine.vitals import begin_window
from pgflow_stress.engine.work import hand_over
from pgflow_stress.scenario.options import Mode
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.connection import BorrowedConnection
from pgflow_stress_hot.recorder import Region
from pgflow_stress_hot.starting import Starter

_LOOK_MS = 20


def start(arena: Arena, order: WorkerOrder) -> int:
    """The whole life of a starter; its exit code. Runs in the forked child."""
    return lead(arena, order, f"starter {order.slot}", lambda region: _live(arena, order, region))


def _live(arena: Arena, order: WorkerOrder, region: Region) -> ChildExit:
    words = arena.words[order.region]
    single = replace(order, options=replace(order.options, creation=Mode.SINGLE))
    connection = prepared_connection(arena, single, f"starter {order.slot}")
    words[Word.STATE] = State.CONNECTED
    account = make_account(
        arena, region, order.region, order.first_run_id, flow_slugs(order.slug_prefix, order.work), order.work
    )
    inputs = inputs_of(order.work, order.options.payload_bytes)
    starter = Starter(account, inputs)
    prime(single, connection)
    hand_over(connection)
    gc.collect()
    gc.freeze()
    gc.disable()
    begin_window(arena.vitals[order.region])
    words[Word.STATE] = State.PRIMED
    wait_for(arena, State.STARTED)
    doubt = _Doubt(arena, order, account, inputs)
    texts = texts_of(single)
    end = _start(arena, region, words, starter, connection, texts)
    while True:
        if end == END_DONE:
            words[Word.STATE] = State.STARTED
            end = _stay(arena, order, connection)
        if end != END_LOST or not order.options.reconnect_seconds or arena.header[Header.STOP] >= Stop.NOW:
            break
        doubt.run = starter.take_doubt()
        connection = again(arena, single, connection, f"starter {order.slot}", doubt.settle)
        goes_on = words[Word.STATE] < State.STARTED
        end = _start(arena, region, words, starter, connection, texts) if goes_on else END_DONE
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


def _stay(arena: Arena, order: WorkerOrder, connection: psycopg.Connection[Any]) -> int:
    """Wait for the end of the work with everything started: a server that crashes may have lost some of it again."""
    if not order.options.reconnect_seconds:
        return END_STOPPED
    looks = select.poll()
    looks.register(connection.fileno(), select.POLLIN)
    while arena.header[Header.PHASE] < State.ENDED and arena.header[Header.STOP] == Stop.RUN:
        if looks.poll(_LOOK_MS):
            try:
                connection.pgconn.consume_input()
            except psycopg.OperationalError:
                return END_LOST
    return END_STOPPED


def _start(
    arena: Arena,
    region: Region,
    words: npt.NDArray[np.int64],
    starter: Starter,
    connection: psycopg.Connection[Any],
    texts: Sequence[tuple[bytes, bytes, tuple[int, ...]]],
) -> int:
    with BorrowedConnection(connection, arena.header, False, texts) as borrowed:
        end = starter.run(borrowed)
        words[Word.NOTICES] += borrowed.notices
        words[Word.WARNINGS] += note_warnings(region, borrowed, Operation.START_FLOW)
    return int(end)


class _Doubt:
    """What a starter had started, and the run whose start was sent on a connection that was lost before its answer."""

    def __init__(self, arena: Arena, order: WorkerOrder, account: Account, inputs: list[bytes]) -> None:
        """Nothing is in doubt."""
        self.run = -1
        self._arena = arena
        self._region = order.region
        self._account = account
        self._flows = flow_slugs(order.slug_prefix, order.work)
        self._inputs = inputs
        self._settled: list[int] = []  # started without an answer, so without a row

    def settle(self, connection: psycopg.Connection[Any]) -> None:
        """Ask for its id; start it where it is not there, and what a crash lost though it was acknowledged."""
        words = self._arena.words[self._region]
        if lost_since(connection, int(words[Word.BIRTH_NS])):
            start_again(connection, self._account, self._recent(), self._flows, self._inputs)
        if self.run < 0:
            return
        start_again(connection, self._account, [self.run], self._flows, self._inputs)
        words[Word.RUNS_STARTED] += int(self._account.settle_start(self.run))
        self._settled.append(self.run)
        self.run = -1

    def _recent(self) -> list[int]:
        """What this starter started not long ago."""
        rows = [rows[rows["operation"] == Operation.START_FLOW] for rows in self._arena.read_rows(self._region)]
        runs = [int(run) for part in rows for run in part["run_index"]]
        return recently_started(self._arena, [*runs, *self._settled])
