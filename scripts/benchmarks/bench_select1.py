"""`select 1`, single and 100 a Sync: queries a second and client CPU a query, ours ÷ pgbench 18."""

from __future__ import annotations

import functools
import resource
from collections.abc import Callable

import numpy as np

from driving import connect
from pairs import Figure, arguments, embedded, fresh, interleave, report
from pgbench import run
from pgflow_stress.core.arena import PROCESS_WORDS
from pgflow_stress.target.base import Database
from pgflow_stress_hot.connection import BorrowedConnection, exchange

PER_SYNC = 100


def ours(database: Database, queries: int, per_flush: int, client_cpu: int, server_cpu: int) -> tuple[float, float]:
    """(queries a second, CPU ns a query)."""
    with connect(database, client_cpu, server_cpu) as connection:
        connection.pgconn.prepare(b"ping", b"select 1")
        header = np.zeros(PROCESS_WORDS, dtype=np.int64)
        with BorrowedConnection(connection, header, piped=per_flush > 1) as borrowed:
            exchange(borrowed, b"ping", 1000, per_flush, sync_each=False)
            before = resource.getrusage(resource.RUSAGE_SELF)
            seconds = exchange(borrowed, b"ping", queries, per_flush, sync_each=False)
            after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return queries / seconds, cpu * 1e9 / queries


def theirs(database: Database, queries: int, per_flush: int, client_cpu: int, server_cpu: int) -> tuple[float, float]:
    """The same of pgbench; its CPU is its whole process less that of an empty run."""
    empty = run(database.conninfo, "select pg_sleep(0.2);\n", 1, client_cpu, server_cpu).cpu_ns
    if per_flush == 1:
        found = run(database.conninfo, "select 1;\n", queries, client_cpu, server_cpu)
        return found.per_second, (found.cpu_ns - empty) / queries
    script = "\\startpipeline\n" + "select 1;\n" * per_flush + "\\endpipeline\n"
    found = run(database.conninfo, script, queries // per_flush, client_cpu, server_cpu)
    return found.per_second * per_flush, (found.cpu_ns - empty) / queries


def _rate(measure: Callable[[], tuple[float, float]], costs_ns: list[float]) -> float:
    per_second, cpu_ns = measure()
    costs_ns.append(cpu_ns)
    return per_second


def main() -> None:
    """Print two lines a mode."""
    given = arguments(__doc__ or "", queries=200_000)
    with embedded() as target, fresh(target) as (database, _nonce):
        for name, per_flush, queries in (("single", 1, given.queries), ("100 a Sync", PER_SYNC, given.queries * 10)):
            costs: tuple[list[float], list[float]] = ([], [])
            placed = (database, queries, per_flush, given.client_cpu, given.server_cpu)
            a, b = interleave(
                given.pairs,
                functools.partial(_rate, functools.partial(ours, *placed), costs[0]),
                functools.partial(_rate, functools.partial(theirs, *placed), costs[1]),
                label=f"select 1 {name}",
            )
            report(
                [
                    Figure(f"select 1, {name}: throughput / pgbench 18", "q/s", a, b, ">= 0.98"),
                    Figure(f"select 1, {name}: client CPU / pgbench 18", "ns/q", costs[0], costs[1], "<= 1.02"),
                ],
                given.output,
            )


if __name__ == "__main__":
    main()
