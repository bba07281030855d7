"""A worker's process phase by its model: which cycle it runs, with what, on which connections."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.engine.orders import WorkerOrder
from pgflow_stress.engine.statements import EDGE_STATEMENTS
from pgflow_stress.scenario.durations import work_seed, work_tables
from pgflow_stress.scenario.options import Mode, RunOptions
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.connection import BorrowedConnection
from pgflow_stress_hot.cycle import Cycle
from pgflow_stress_hot.durations import Durations
from pgflow_stress_hot.edge import EdgeCycle
from pgflow_stress_hot.kit import Toolkit
from pgflow_stress_hot.working import WorkingCycle

BATCHES_IN_FLIGHT = 2  # so that the server never waits for the client
BATCH_BYTES = 64 * 1024 * 1024  # most payload of one statement
POLL_BYTES = 256 * 1024 * 1024  # most payload of one answer: the server makes it one array, of 1 GB at most

_IDLE_KINDS = {"spin": 0, "sleep": 1, "read-with-poll": 2}
_STATUS_FIELD = """
select count(*) from pg_attribute k, pg_attribute s
where k.attrelid = 'pgflow.step_tasks'::regclass and s.attrelid = k.attrelid and s.attname = 'status'
  and k.attnum > 0 and not k.attisdropped and k.attnum < s.attnum
"""


def window_of(mode: Mode, in_flight: int) -> int:
    """Most statements in flight for a mode."""
    return {Mode.SINGLE: 1, Mode.PIPELINE: in_flight, Mode.BATCH: BATCHES_IN_FLIGHT}[mode]


def deal_flows(slot: int, workers: int, flows: int) -> tuple[npt.NDArray[np.int64], int]:
    """The queues of one worker: (all flow indexes, own ones first; how many are its own).

    With fewer flows than workers several workers own one; with more, each owns every workers-th.
    """
    own = np.arange(slot, flows, workers) if flows >= workers else np.array([slot % flows])
    rest = np.setdiff1d(np.arange(flows), own)
    turn = np.roll(rest, -int(np.searchsorted(rest, own[0])))
    return np.concatenate([own, turn]).astype(np.int64), len(own)


class Processing:
    """Runs the process phase on a worker's connections; everything that it fills is made here."""

    def __init__(
        self,
        order: WorkerOrder,
        account: Account,
        connections: Sequence[Any],
        header: npt.NDArray[np.int64],
        outputs: list[bytes],
        texts: Sequence[tuple[bytes, bytes, tuple[int, ...]]] = (),
    ) -> None:
        """Make the cycle of the worker's model.

        Args:
            connections: psycopg.Connection each; one, but for the model edge-worker.
            outputs: for each step what its tasks give, jsonb in binary.
            texts: what statements are sent as where they are not prepared.
        """
        self._texts = texts
        options = order.options
        self._connections = connections
        self._header = header
        self._edge: EdgeCycle | None = None
        self._one: Cycle | WorkingCycle | None = None
        self._piped = options.worker_model == "edge-worker" or options.completion is not Mode.SINGLE
        toolkit = _toolkit(order, account, outputs)
        window = window_of(options.completion, options.in_flight_statements)
        if options.worker_model == "edge-worker":
            self._edge = _edge_cycle(order, toolkit, connections[0], outputs)
        elif options.work:
            concurrency = options.concurrency or options.poll_size
            self._one = WorkingCycle(toolkit, _durations(order), concurrency, window)
        else:
            self._one = Cycle(toolkit, window, self._piped)

    @property
    def work_ns(self) -> int:
        """What the simulated work of the tasks that it had in hand takes, added up."""
        cycle = self._edge or self._one
        return 0 if isinstance(cycle, Cycle) or cycle is None else cycle.work_ns

    def run(self) -> tuple[int, list[BorrowedConnection]]:
        """A LoopEnd, and the connections that were borrowed, for what they say of notices."""
        with contextlib.ExitStack() as stack:
            borrowed = [
                stack.enter_context(BorrowedConnection(one, self._header, self._piped, self._texts))
                for one in self._connections
            ]
            if self._edge is not None:
                return self._edge.run(borrowed), borrowed
            assert self._one is not None
            return self._one.run(borrowed[0]), borrowed


def _toolkit(order: WorkerOrder, account: Account, outputs: list[bytes]) -> Toolkit:
    options = order.options
    queues, own = deal_flows(order.slot, options.workers, order.work.flows)
    if options.worker_model == "edge-worker":
        queues = queues[:own]  # a worker of pgflow's serves its own flow alone
    longest = max(map(len, outputs))
    return Toolkit(
        account,
        order.worker_id,
        queues,
        own,
        max(1, min(options.poll_size, POLL_BYTES // longest)),
        max(1, min(options.completion_batch_size, BATCH_BYTES // longest)),
        options.completion is Mode.BATCH,
        outputs,
        _IDLE_KINDS[options.empty_poll.kind],
        int(options.empty_poll.sleep_ms * NS_PER_MS),
        options.empty_poll.max_poll_seconds,
        options.empty_poll.poll_interval_ms,
        options.client_delay_ns,
    )


def _durations(order: WorkerOrder) -> Durations:
    options: RunOptions = order.options
    tables = work_tables(options.work, [step.slug for step in order.work.steps])
    return Durations(*tables, work_seed(options.seed))


def _edge_cycle(order: WorkerOrder, toolkit: Toolkit, connection: Any, outputs: list[bytes]) -> EdgeCycle:
    options = order.options
    (status_field,) = connection.execute(_STATUS_FIELD).fetchone()
    return EdgeCycle(
        toolkit,
        _durations(order),
        options.concurrency or options.poll_size,
        int(options.heartbeat_seconds * NS_PER_SECOND),
        list(EDGE_STATEMENTS),
        [value[1:] for value in outputs],  # without the version byte of jsonb in binary
        int(status_field),
    )
