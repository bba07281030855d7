"""Runs whose workers go through PgBouncer: exact in session and transaction mode, refused where it cannot be."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pgflow_stress.target.base import PoolMode, Target, TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.installing import install_into
from pgflow_stress.target.pooler import find_pooler
from tests.fixtures.bouncer import bouncing
from tests.integration.target.helpers import quiet, rows

Run = Callable[..., tuple[int, Any, str]]

SMALL = ("fan", "--width", 4, "--runs", 20, "--repetitions", 1, "--warmup", 0)
WORKERS = ("--workers", 3)


@pytest.fixture(scope="module")
def server(target: Target) -> str:
    return str(target.conninfo("postgres"))  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[str]:
    """A database of the user's with pgflow: its name."""
    name = f"shop_{uuid.uuid4().hex[:8]}"
    rows(server, f"CREATE DATABASE {name}")
    typed = TargetOptions(dsn=direct_to(server, name), dsn_typed=True)
    install_into(typed, choose_target(typed, {}), quiet)
    yield name
    rows(server, f"DROP DATABASE {name} WITH (FORCE)")


def direct_to(server: str, name: str) -> str:
    return server.replace("dbname=postgres", f"dbname={name}")


def leftovers(server: str, shop: str) -> tuple[list[Any], list[Any]]:
    """Flows and databases of ours."""
    return (
        rows(direct_to(server, shop), "SELECT flow_slug FROM pgflow.flows"),
        rows(server, "SELECT datname FROM pg_database WHERE datname ~ '^pgflow_stress_[fs]'"),
    )


def exact(document: Any) -> dict[str, Any]:
    """What the result says of the pooler, once it is seen that nothing was lost on the way."""
    (repetition,) = document["repetitions"]
    tasks, events = repetition["tasks"], repetition["events"]
    assert tasks["completed"] == tasks["expected"] > 0
    assert repetition["audit"]["ok"]
    assert events["expected"] == events["stored"]
    assert (events["missing"], events["duplicate"], events["unexpected"]) == (0, 0, 0)
    found: dict[str, Any] = document["environment"]["postgres"]["pooler"]
    return found


@pytest.mark.parametrize(
    "how",
    [
        ("--creation", "pipeline", "--completion", "pipeline", "--events", "wal"),
        ("--in-flight", "4", "--completion", "single", "--events", "notify"),
        ("--worker-model", "edge-worker", "--events", "notify"),
        ("--isolation", "clone", "--events", "wal"),
    ],
    ids=" ".join,
)
def test_in_transaction_mode_with_fewer_backends_than_workers_every_task_is_done_once(
    server: str, shop: str, run: Run, how: tuple[str, ...]
) -> None:
    with bouncing(server, pool_mode="transaction", default_pool_size=2) as bouncer:
        code, document, said = run(
            *SMALL, *WORKERS, *how, "--dsn", bouncer.dsn(shop), "--direct-dsn", direct_to(server, shop),
            "--pooler-admin-dsn", bouncer.dsn("pgbouncer"),
        )  # fmt: skip

    assert code == 0, said
    pooler = exact(document)
    assert pooler["product"].startswith("PgBouncer")
    assert (pooler["mode"], pooler["direct"], pooler["pool_size"]) == ("transaction", True, 2)
    assert leftovers(server, shop) == ([], [])


@pytest.mark.parametrize("direct", [True, False], ids=["and-direct", "alone"])
def test_in_session_mode_every_task_is_done_once(server: str, shop: str, run: Run, direct: bool) -> None:
    with bouncing(server, pool_mode="session", default_pool_size=3 if direct else 20) as bouncer:
        past = ("--direct-dsn", direct_to(server, shop)) if direct else ()
        code, document, said = run(*SMALL, *WORKERS, "--dsn", bouncer.dsn(shop), *past, "--events", "notify")

    assert code == 0, said
    pooler = exact(document)
    assert (pooler["mode"], pooler["direct"], pooler["statements"]) == ("session", direct, "prepared")
    assert leftovers(server, shop) == ([], [])


@pytest.mark.parametrize(
    ("mode", "pool_size", "databases", "more", "reason"),
    [
        ("statement", 5, "*", ("--direct-dsn", "DIRECT"), r"statement mode is in between, .*transaction or session"),
        ("transaction", 5, "*", (), r"transaction mode .* no session lasts, .*--direct-dsn"),
        ("transaction", 5, "*", ("--events", "wal"), r"--events wal needs logical replication: .*--direct-dsn"),
        ("transaction", 5, "SHOP", ("--direct-dsn", "DIRECT", "--isolation", "clone"), r"its list alone.*\* = host="),
        ("transaction", 5, "*", ("--direct-dsn", "OTHER"), r"--direct-dsn leads to another database"),
        ("transaction", 5, "*", ("--direct-dsn", "POOLED"), r"--direct-dsn goes through a pooler too"),
        ("transaction", 5, "*", ("--direct-dsn", "DIRECT", "--fault", "kill-worker@1s"), r"--fault is about the"),
        ("session", 2, "*", ("--direct-dsn", "DIRECT"), r"gives 2 of 3 sessions a backend .*raise its pool_size"),
        ("session", 20, "*", ("--events", "wal"), r"logical replication does not go through it.*--direct-dsn"),
        ("session", 20, "*", ("--isolation", "fresh"), r"--direct-dsn, or use --isolation prefix"),
    ],
)
def test_what_cannot_go_through_it_is_refused_before_anything_is_made(
    server: str, shop: str, run: Run, mode: str, pool_size: int, databases: str, more: tuple[str, ...], reason: str
) -> None:
    with bouncing(
        server, shop if databases == "SHOP" else databases, pool_mode=mode, default_pool_size=pool_size
    ) as bouncer:
        meant = {"DIRECT": direct_to(server, shop), "OTHER": server, "POOLED": bouncer.dsn(shop)}
        code, document, said = run(
            *SMALL, *WORKERS, "--dsn", bouncer.dsn(shop), *(meant.get(word, word) for word in more)
        )

    assert code == 3, said
    assert document is None
    assert len(said.strip().splitlines()) == 1
    assert re.search(reason, said), said
    assert leftovers(server, shop) == ([], [])


@pytest.mark.parametrize("mode", [PoolMode.SESSION, PoolMode.TRANSACTION, PoolMode.STATEMENT])
@pytest.mark.parametrize("settings", [{}, {"default_pool_size": 1}, {"server_round_robin": 1}], ids=str)
def test_the_mode_is_told_by_what_it_does(server: str, mode: PoolMode, settings: dict[str, Any]) -> None:
    with bouncing(server, pool_mode=mode, **settings) as bouncer:
        dsn = bouncer.dsn("postgres")
        warm = [psycopg.connect(dsn, autocommit=True) for _ in range(settings.get("default_pool_size", 3))]
        for one in warm:
            one.execute("SELECT pg_sleep(0.01)")
            one.close()
        with psycopg.connect(dsn, autocommit=True) as connection:
            found = find_pooler(connection, dsn, "it", None)

    assert found is not None
    assert found.mode is mode
    assert found.product.startswith("PgBouncer")


def test_without_a_pooler_none_is_found(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        assert find_pooler(connection, server, "it", None) is None
