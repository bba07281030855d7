"""A starter process: connect, prime, start runs by the schedule, one at a time; it reports through the arena alone."""

from __future__ import annotations

import gc
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
    end = _start(arena, region, words, starter, connection, texts_of(single))
    while end == END_LOST and order.options.reconnect_seconds and arena.header[Header.STOP] < Stop.NOW:
        flows = flow_slugs(order.slug_prefix, order.work)
        doubt = _Doubt(
            account, int(words[Word.BIRTH_NS]), starter.take_doubt(), _recent(arena, order.region), flows, inputs
        )
        connection = again(arena, single, connection, f"starter {order.slot}", doubt.settle)
        words[Word.RUNS_STARTED] += doubt.settled
        end = _start(arena, region, words, starter, connection, texts_of(single))
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


def _recent(arena: Arena, region: int) -> list[int]:
    rows = [rows[rows["operation"] == Operation.START_FLOW] for rows in arena.read_rows(region)]
    return recently_started(arena, [int(run) for part in rows for run in part["run_index"]])


class _Doubt:
    """A run whose start was sent on a connection that was lost before its answer; -1: none."""

    def __init__(
        self, account: Account, birth_ns: int, run: int, recent: list[int], flows: list[bytes], inputs: list[bytes]
    ) -> None:
        self._account = account
        self._run = run
        self._recent = recent  # that this starter started not long ago
        self._birth_ns = birth_ns
        self._flows = flows
        self._inputs = inputs
        self.settled = 0

    def settle(self, connection: psycopg.Connection[Any]) -> None:
        """Ask for its id; start it where it is not there, and what a crash lost though it was acknowledged."""
        if lost_since(connection, self._birth_ns):
            start_again(connection, self._account, self._recent, self._flows, self._inputs)
        if self._run < 0:
            return
        start_again(connection, self._account, [self._run], self._flows, self._inputs)
        self.settled = int(self._account.settle_start(self._run))
        self._run = -1
