"""One worker of ours in this process, driven outside the engine: what the benchmarks pair against something else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)  # as a run on the embedded server does, before anything imports psycopg

import psycopg  # noqa: E402

from pgflow_stress.core.arena import ArenaSize, Word  # noqa: E402
from pgflow_stress.core.ids import run_id  # noqa: E402
from pgflow_stress.engine.driver import Driver  # noqa: E402
from pgflow_stress.engine.orders import WorkerOrder, flow_slugs  # noqa: E402
from pgflow_stress.engine.pinning import pin, pin_backend  # noqa: E402
from pgflow_stress.engine.priming import prime  # noqa: E402
from pgflow_stress.engine.private_books import new_books  # noqa: E402
from pgflow_stress.engine.statements import statements  # noqa: E402
from pgflow_stress.scenario.options import RunOptions  # noqa: E402
from pgflow_stress.scenario.plan import make_plan  # noqa: E402
from pgflow_stress.target.base import Database  # noqa: E402


@dataclass(frozen=True)
class Worker:
    """A primed connection with its driver and its words."""

    driver: Driver
    connection: psycopg.Connection[Any]
    words: np.ndarray
    flow: str

    def seconds(self, begin: Word, end: Word) -> float:
        """Between two of its stamps."""
        return float(self.words[end] - self.words[begin]) / 1e9

    def cpu_ns(self) -> int:
        """User and system time that its process phase took."""
        return int(self.words[Word.CPU_TO_NS] - self.words[Word.CPU_FROM_NS])


def connect(database: Database, client_cpu: int, server_cpu: int) -> psycopg.Connection[Any]:
    """This process on one core, the connection's backend on another."""
    pin([client_cpu])
    connection = psycopg.connect(database.conninfo, autocommit=True)
    pin_backend(connection.info.backend_pid, [server_cpu])
    return connection


@contextlib.contextmanager
def worker(database: Database, nonce: int, options: RunOptions, client_cpu: int, server_cpu: int) -> Iterator[Worker]:
    """One worker on one flow of independent steps, primed as a run primes it."""
    plan = make_plan("single-flow", options)
    slugs, rows = flow_slugs(database.slug_prefix, plan.work), 4 * plan.expected_tasks + 4096
    books = new_books(plan.work, slugs, nonce, rows)
    books.private.rows["spare"], books.private.counts[:] = 0, 0  # touched before anything is timed
    order = WorkerOrder(
        0, 0, ArenaSize(1, 1, plan.runs, plan.expected_tasks, rows), database.conninfo, True, os.urandom(16),
        run_id(nonce, 0).bytes, database.slug_prefix, plan.work, options,
    )  # fmt: skip
    connection = connect(database, client_cpu, server_cpu)
    connection.execute(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'q', 'benchmark')",
        (order.worker_id.hex(),),
    )
    for statement in statements(options.creation, options.completion, options.empty_poll):
        connection.pgconn.prepare(statement.name, statement.sql, statement.types)
    prime(order, connection)
    try:
        yield Worker(
            Driver(order, books.account, connection, books.header), connection, books.private.words, slugs[0].decode()
        )
    finally:
        connection.close()
