"""A driver in this process on a database of the embedded server, with private books."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from pgflow_stress.core.ids import new_nonce, run_id
from pgflow_stress.engine.driver import Driver
from pgflow_stress.engine.orders import WorkerOrder, flow_slugs
from pgflow_stress.engine.private_books import Books, new_books
from pgflow_stress.engine.sizing import arena_size
from pgflow_stress.engine.statements import statements_of
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.target.base import Target


@dataclass(frozen=True)
class Bench:
    """A prepared connection with its driver; nothing is created or started yet."""

    connection: psycopg.Connection[Any]
    driver: Driver
    books: Books
    order: WorkerOrder
    plan: Plan
    nonce: int
    slug_prefix: str


@contextlib.contextmanager
def bench(target: Target, scenario: str, options: RunOptions) -> Iterator[Bench]:
    """One worker's means, in a database that is gone afterwards."""
    nonce = new_nonce()
    plan = make_plan(scenario, options)
    database = target.acquire(nonce)
    books = new_books(plan.work, flow_slugs(database.slug_prefix, plan.work), nonce)
    order = WorkerOrder(
        0, 0, arena_size(plan), database.conninfo, True, os.urandom(16), run_id(nonce, 0).bytes,
        database.slug_prefix, plan.work, options,
    )  # fmt: skip
    connection = psycopg.connect(database.conninfo, autocommit=True)
    try:
        connection.execute(
            "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'q', 'test')",
            (order.worker_id.hex(),),
        )
        for statement in statements_of(order):
            connection.pgconn.prepare(statement.name, statement.sql, statement.types)
        driver = Driver(order, books.account, connection, books.header)
        yield Bench(connection, driver, books, order, plan, nonce, database.slug_prefix)
    finally:
        connection.close()
        assert not target.release(database).leftovers
