"""PgBouncer with a pool smaller than its clients, seen by its console. Debian's package, where it is installed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import psycopg
import pytest

from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.engine.orders import SamplerOrder
from pgflow_stress.engine.probes import Means, Unseen
from pgflow_stress.engine.probes.pooler import Pooler
from pgflow_stress.engine.sampler_book import Book
from pgflow_stress.engine.telemetry_accounts import ends_of, take_telemetry
from pgflow_stress.target.base import Target
from tests.fixtures.bouncer import Bouncer, bouncing
from tests.integration.target.helpers import until

SIZE = ArenaSize(processes=1, flows=1, runs=1, tasks=1, rows=1, points=100_000)


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(SIZE)
    yield arena
    arena.close()


def means(arena: Arena, pooler_admin_dsn: str | None) -> Means:
    return Means(arena, SamplerOrder(0, SIZE, "", True, "light", 10**9, os.getpid(), pooler_admin_dsn), Book(arena))


@pytest.fixture
def bouncer(target: Target) -> Iterator[Bouncer]:
    """A pooler before the embedded server with one server connection."""
    server = target.conninfo("postgres")  # type: ignore[attr-defined]
    with bouncing(server, "postgres", pool_mode="session", default_pool_size=1) as running:
        yield running


def test_clients_that_wait_for_a_pool_that_is_too_small_are_seen(bouncer: Bouncer, arena: Arena) -> None:
    dsn = bouncer.dsn("postgres")
    seen = means(arena, bouncer.dsn("pgbouncer"))
    probe = Pooler(seen)
    with contextlib.closing(probe), psycopg.connect(dsn, autocommit=True) as first:
        first.execute("select 1")
        second = psycopg.pq.PGconn.connect(dsn.encode())
        second.send_query(b"select 1")

        def waits() -> bool:
            probe.tick()
            seen.book.flush()
            return any(
                series.metric == "clients_waiting" and value == 1
                for series, value in ends_of(take_telemetry(arena)).last.items()
            )

        assert until(waits)
        second.finish()
    found = {(s.subject, s.metric): value for s, value in ends_of(take_telemetry(arena)).last.items()}
    assert found[("postgres/postgres", "clients_active")] == 1
    assert found[("postgres/postgres", "servers_active")] == 1
    assert found[("postgres", "pool_size")] == 1
    assert found[("postgres", "queries_total")] >= 1


def test_without_a_console_it_is_silent_and_one_that_is_not_there_is_told(arena: Arena) -> None:
    with pytest.raises(Unseen, match=r"^$"):
        Pooler(means(arena, None))
    with pytest.raises(Unseen, match="console cannot be reached"):
        Pooler(means(arena, "host=/nowhere dbname=pgbouncer"))
