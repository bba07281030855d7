"""Durable commits at 1, 4 and 16 connections, and how long a commit waits for its WAL to be flushed.

A connection is a thread that stamps its statements without the GIL. What a commit waits for the flush is told from
outside: its latency beyond the median of the same statement with synchronous_commit off, alone on the server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from pgflow_stress.core.arena import PROCESS_WORDS, Header, Stop
from pgflow_stress.core.calibration import Figure, Part, not_measured
from pgflow_stress.engine.calibration.ground import Ground
from pgflow_stress.target.base import Isolation
from pgflow_stress_hot.connection import BorrowedConnection, round_trips

CONNECTIONS = (1, 4, 16)
ROUNDS = 3
_LEAST_FOR_P99 = 1000  # ten beyond it
_AT_ONCE = 16  # statements between two looks at the time
_NAME = b"commit_one"
_TABLE = "create table public.pgflow_stress_commits (at timestamptz not null)"
_INSERT = "insert into public.pgflow_stress_commits values (now())"
# Where no table may be made: a record in the WAL and a transaction id, so that its commit is flushed too.
_MESSAGE = "select pg_logical_emit_message(true, 'pgflow-stress', '')"

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Commits:
    """One round on all connections."""

    latencies_ns: Int64s
    seconds: float

    @property
    def per_second(self) -> float:
        """Of all connections together."""
        return len(self.latencies_ns) / self.seconds


def measure(ground: Ground) -> Part:
    """Rounds at each number of connections; with one, in turns with synchronous_commit off."""
    statement = _MESSAGE if ground.target.isolation is Isolation.PREFIX else _INSERT
    figures: dict[str, Figure] = {}
    with ground.database() as (database, _), ground.as_worker():
        if statement == _INSERT:
            with ground.connection(database.conninfo) as connection:
                connection.execute(_TABLE.encode())
        unflushed_p50_ns = 0.0
        for count in CONNECTIONS:
            try:
                durable, unflushed = _rounds(ground, database.conninfo, statement, count)
            except psycopg.OperationalError as error:  # too many connections, most likely: fewer were fine
                reason = (str(error).strip().splitlines() or ["no connection"])[0]
                figures[f"connections_{count}.commits_per_second"] = not_measured("1/s", reason)
                continue
            if unflushed:
                unflushed_p50_ns = float(np.median(np.concatenate([r.latencies_ns for r in unflushed])))
                rates = tuple(r.per_second for r in unflushed)
                figures[f"connections_{count}.unflushed_commits_per_second"] = Figure("1/s", rates)
            figures |= _figures(f"connections_{count}", durable, unflushed_p50_ns)
    facts = {"statement": statement, "rounds": ROUNDS, "connections": list(CONNECTIONS), "flush": "latency of a "
             "commit beyond the median of the same statement with synchronous_commit off"}  # fmt: skip
    return Part(figures, facts)


def _rounds(ground: Ground, conninfo: str, statement: str, count: int) -> tuple[list[Commits], list[Commits]]:
    durable: list[Commits] = []
    unflushed: list[Commits] = []
    with ExitStack() as stack:
        connections = [stack.enter_context(ground.connection(conninfo)) for _ in range(count)]
        for connection in connections:
            connection.pgconn.prepare(_NAME, statement.encode())
        turns = [("on", durable), ("off", unflushed)] if count == 1 else [("on", durable)]
        for _ in range(ROUNDS):
            for synchronous, done in turns:
                for connection in connections:
                    connection.execute(f"set synchronous_commit = {synchronous}".encode())
                done.append(_commit_for(connections, ground.seconds))
            turns.reverse()
    return durable, unflushed


def _commit_for(connections: Sequence[psycopg.Connection[Any]], seconds: float) -> Commits:
    header = np.zeros(PROCESS_WORDS, dtype=np.int64)
    barrier = threading.Barrier(len(connections))

    def commit(borrowed: BorrowedConnection) -> tuple[float, Int64s, float]:
        chunks: list[Int64s] = []
        barrier.wait()
        began = time.monotonic()
        while not chunks or time.monotonic() < began + seconds:
            out_ns = np.empty(_AT_ONCE, dtype=np.int64)
            round_trips(borrowed, _NAME, out_ns)
            chunks.append(out_ns)
        return began, np.concatenate(chunks), time.monotonic()

    with ExitStack() as stack:
        borrowed = [stack.enter_context(BorrowedConnection(one, header, piped=False)) for one in connections]
        pool = stack.enter_context(ThreadPoolExecutor(len(connections)))
        try:
            begins, latencies_ns, ends = zip(*pool.map(commit, borrowed), strict=True)
        finally:  # an interrupt came: no thread may be left waiting for an answer or for the others
            header[Header.STOP] = Stop.NOW
            barrier.abort()
    return Commits(np.concatenate(latencies_ns), max(ends) - min(begins))


def _figures(prefix: str, durable: Sequence[Commits], unflushed_p50_ns: float) -> dict[str, Figure]:
    flush_ns = [np.maximum(0.0, r.latencies_ns - unflushed_p50_ns) for r in durable]
    figures = {"commits_per_second": Figure("1/s", tuple(r.per_second for r in durable))}
    for name, rounds in (("commit", [r.latencies_ns for r in durable]), ("wal_flush", flush_ns)):
        figures[f"{name}_p50_ns"] = Figure("ns", tuple(float(np.median(one)) for one in rounds))
        figures[f"{name}_p99_ns"] = _p99(rounds)
    return {f"{prefix}.{name}": figure for name, figure in figures.items()}


def _p99(rounds: Sequence[npt.NDArray[Any]]) -> Figure:
    """Of each round where each has enough; else of all together, where these have."""
    if min(map(len, rounds)) < _LEAST_FOR_P99:
        rounds = [np.concatenate(rounds)]
    if len(rounds[0]) < _LEAST_FOR_P99:
        found = len(rounds[0])
        return not_measured("ns", f"{found} commits: p99 needs {_LEAST_FOR_P99}, give more --seconds")
    return Figure("ns", tuple(float(np.percentile(one, 99)) for one in rounds))
