"""The client: `select 1` over one connection in three manners, queries/s and client CPU, in turns with pgbench."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from pgflow_stress.core.calibration import Figure, Part, not_measured, ratio
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.calibration.ground import Ground
from pgflow_stress.engine.calibration.pgbench import Pgbench, PgbenchFailed, PgbenchScript, Spent, find_pgbench
from pgflow_stress.engine.statements import PING
from pgflow_stress_hot.connection import BorrowedConnection, exchange, libpq_version, sends_sync_unflushed

ROUNDS = 4
IN_FLIGHT = 100
_CHUNK_SECONDS = 0.02  # an interrupt is looked at between two
_PRIME_QUERIES = 5_000
_HEADER_WORDS = 4
_REACH_THROUGHPUT, _REACH_CPU = 0.98, 1.02


@dataclass(frozen=True, slots=True)
class Manner:
    """One way to send statements."""

    name: str
    piped: bool
    per_flush: int
    sync_each: bool
    script: str  # the same for pgbench
    since: int = 14  # pgbench that knows the script
    has_reach: bool = True


_MANY = "select 1;\n" * IN_FLIGHT
_MANY_SYNCED = "select 1;\n\\syncpipeline\n" * IN_FLIGHT
MANNERS = (
    Manner("single", False, 1, True, "select 1;\n"),
    Manner("pipeline_one_sync", True, IN_FLIGHT, False, f"\\startpipeline\n{_MANY}\\endpipeline\n"),
    Manner("pipeline_sync_each", True, IN_FLIGHT, True, f"\\startpipeline\n{_MANY_SYNCED}\\endpipeline\n", 17, False),
)


@dataclass(slots=True)
class _Side:
    """One side's repeats."""

    queries_per_second: list[float] = field(default_factory=list)
    cpu_ns_per_query: list[float] = field(default_factory=list)

    def add(self, queries: int, spent: Spent) -> None:
        self.queries_per_second.append(queries / spent.seconds)
        self.cpu_ns_per_query.append(spent.cpu_ns / queries)


def measure(ground: Ground) -> Part:
    """Every manner on a connection of its own; the order of the two sides turns round each round."""
    figures: dict[str, Figure] = {}
    with ground.database() as (database, _), ground.connection(database.conninfo) as watcher:
        pgbench = find_pgbench(bool(watcher.pgconn.ssl_in_use))
        with ground.as_worker():
            for manner in MANNERS:
                figures |= _manner(ground, database.conninfo, watcher, manner, pgbench)
    facts: dict[str, object] = {
        "statement": PING.sql.decode(),
        "in_flight": IN_FLIGHT,
        "rounds": ROUNDS,
        "libpq": libpq_version(),
        "sync_without_flush": sends_sync_unflushed(),
        "pgbench": pgbench.version if pgbench else None,
        "pgbench_origin": None if pgbench is None else "embedded" if "pginstall" in pgbench.path.parts else "system",
    }
    return Part(figures, facts)


def _manner(
    ground: Ground, conninfo: str, watcher: psycopg.Connection[Any], manner: Manner, pgbench: Pgbench | None
) -> dict[str, Figure]:
    ours, theirs = _Side(), _Side()
    reason = _why_without(manner, pgbench)
    with ExitStack() as stack:
        connection = stack.enter_context(ground.connection(conninfo))
        connection.pgconn.prepare(PING.name, PING.sql, PING.types)
        queries = _PRIME_QUERIES
        per_second = queries / _send(connection, manner, queries, queries)
        # Both sides send the same number, so that neither is measured over a longer time.
        transactions = max(1, int(per_second * ground.seconds / manner.per_flush))
        queries = transactions * manner.per_flush
        at_once = max(manner.per_flush, int(per_second * _CHUNK_SECONDS))
        turns: list[Callable[[], None]] = [lambda: ours.add(queries, _ours(connection, manner, queries, at_once))]
        if pgbench is not None and reason is None:
            script = PgbenchScript(pgbench, conninfo, manner.script, watcher, ground.postgres_cpus)
            stack.enter_context(script)
            turns.append(lambda: theirs.add(queries, script.spend(transactions)))
        for _ in range(ROUNDS):
            try:
                for turn in turns:
                    turn()
            except PgbenchFailed as failed:
                return _figures(manner, ours, _Side(), str(failed))
            turns.reverse()
    return _figures(manner, ours, theirs, reason)


def _why_without(manner: Manner, pgbench: Pgbench | None) -> str | None:
    if pgbench is None:
        return "no pgbench was found that can reach this server"
    if pgbench.major < manner.since:
        return f"pgbench {pgbench.version} cannot send this; {manner.since} can"
    return None


def _send(connection: psycopg.Connection[Any], manner: Manner, queries: int, at_once: int) -> float:
    """Seconds that so many queries take."""
    header = np.zeros(_HEADER_WORDS, dtype=np.int64)
    seconds = 0.0
    with BorrowedConnection(connection, header, manner.piped) as borrowed:
        while queries > 0:
            some = min(queries, at_once)
            seconds += exchange(borrowed, PING.name, some, manner.per_flush, manner.sync_each)
            queries -= some
    return seconds


def _ours(connection: psycopg.Connection[Any], manner: Manner, queries: int, at_once: int) -> Spent:
    before = _cpu_ns()
    seconds = _send(connection, manner, queries, at_once)
    return Spent(seconds, _cpu_ns() - before)


def _cpu_ns() -> float:
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return (usage.ru_utime + usage.ru_stime) * NS_PER_SECOND


def _figures(manner: Manner, ours: _Side, theirs: _Side, reason: str | None) -> dict[str, Figure]:
    rates, costs = ours.queries_per_second, ours.cpu_ns_per_query
    figures = {"queries_per_second": Figure("1/s", tuple(rates)), "client_cpu_ns_per_query": Figure("ns", tuple(costs))}
    if reason is not None:
        for name in ("throughput_to_pgbench", "client_cpu_to_pgbench"):
            figures[name] = not_measured("ratio", reason)
    else:
        reach = (_REACH_THROUGHPUT, _REACH_CPU) if manner.has_reach else (None, None)
        figures |= {
            "pgbench_queries_per_second": Figure("1/s", tuple(theirs.queries_per_second)),
            "pgbench_client_cpu_ns_per_query": Figure("ns", tuple(theirs.cpu_ns_per_query)),
            "throughput_to_pgbench": ratio(rates, theirs.queries_per_second, reach=reach[0]),
            "client_cpu_to_pgbench": _cpu_ratio(costs, theirs.cpu_ns_per_query, reach[1]),
        }
    return {f"{manner.name}.{name}": figure for name, figure in figures.items()}


def _cpu_ratio(costs: list[float], theirs: list[float], reach: float | None) -> Figure:
    if not all(theirs):
        return not_measured("ratio", "pgbench's CPU was lost in that of its start: give more --seconds")
    return ratio(costs, theirs, reach=reach, at_most=True)
