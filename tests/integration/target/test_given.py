from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.core.ids import new_nonce, run_id
from pgflow_stress.target.base import Database, Isolation, TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.installing import Installed, install_into
from pgflow_stress.target.opening import open_target
from pgflow_stress.target.sweeping import clean_given
from tests.integration.target.helpers import (
    LATER_PGFLOW,
    Tool,
    databases,
    given,
    needs_later_pgflow,
    quiet,
    rows,
    until,
    value,
)


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    """A database of the user's, without anything: its conninfo."""
    name = f"shop_{uuid.uuid4().hex[:8]}"
    rows(server, f"CREATE DATABASE {name}")
    yield server.replace("dbname=postgres", f"dbname={name}")
    rows(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shop(empty: str) -> str:
    """The same with pgflow."""
    _install(empty)
    return empty


def _install(dsn: str, **options: object) -> Installed:
    typed = TargetOptions(dsn=dsn, dsn_typed=True, **options)  # type: ignore[arg-type]
    return install_into(typed, choose_target(typed, {}), quiet)


def _run_flow(database: Database, nonce: int, flows: int = 1) -> None:
    """Flows of one step each, started and half processed, as an interrupt leaves them."""
    worker = uuid.uuid4()
    for index in range(flows):
        slug = f"{database.slug_prefix}{index}"
        rows(database.conninfo, "SELECT pgflow.create_flow(%s)", slug)
        rows(database.conninfo, "SELECT pgflow.add_step(%s, 'a')", slug)
        rows(database.conninfo, "SELECT pgflow.add_step(%s, 'b', ARRAY['a'])", slug)
        rows(database.conninfo, "SELECT pgflow.start_flow(%s, '{}', %s)", slug, run_id(nonce, index))
        insert = "INSERT INTO pgflow.workers (worker_id, queue_name, function_name) VALUES (%s, %s, 'f')"
        rows(database.conninfo, insert, uuid.uuid4() if index else worker, slug)
        rows(database.conninfo, "SELECT msg_id FROM pgmq.read(%s, 30, 10)", slug)


def _contents(dsn: str) -> list[tuple[object, ...]]:
    return rows(
        dsn,
        """
        SELECT (SELECT count(*) FROM pgflow.flows), (SELECT count(*) FROM pgflow.steps),
               (SELECT count(*) FROM pgflow.deps), (SELECT count(*) FROM pgflow.runs),
               (SELECT count(*) FROM pgflow.step_states),
               (SELECT count(*) FROM pgflow.step_tasks), (SELECT count(*) FROM pgflow.workers),
               (SELECT count(*) FROM pgmq.meta), (SELECT count(*) FROM realtime.messages),
               (SELECT count(*) FROM pg_class WHERE relnamespace = 'pgmq'::regnamespace AND relkind = 'r'),
               (SELECT count(*) FROM pg_publication)
        """,
    )


def test_a_database_without_pgflow_is_refused_with_what_to_do(empty: str) -> None:
    with pytest.raises(SetUpFault, match=r"db install --dsn.*--isolation fresh"), given(empty):
        pass


def test_a_database_with_pgflow_is_used_by_prefix_and_only_its_own_rows_are_touched(shop: str) -> None:
    rows(shop, "SELECT pgflow.create_flow('orders')")
    rows(shop, "SELECT pgflow.add_step('orders', 'pay')")
    rows(shop, "SELECT pgflow.start_flow('orders', '{}')")
    before = _contents(shop)
    nonce = new_nonce()
    with given(shop) as target:
        database = target.acquire(nonce)
        _run_flow(database, nonce, flows=20)
        rows(shop, f"CREATE PUBLICATION pgflow_stress_{nonce:016x} FOR TABLE realtime.messages")
        during = _contents(shop)

        cleaned = target.release(database)

    assert target.isolation is Isolation.PREFIX
    assert during != before
    assert cleaned.leftovers == ()
    assert _contents(shop) == before


def test_events_that_a_backend_commits_during_the_clean_up_go_with_their_run(shop: str) -> None:
    nonce = new_nonce()
    before = _contents(shop)
    with given(shop) as target:
        database = target.acquire(nonce)
        _run_flow(database, new_nonce())  # ids of another nonce: a run that a worker primed on
        (run,) = rows(shop, "SELECT run_id FROM pgflow.runs")[0]
        start, complete = (
            "UPDATE pgflow.step_tasks SET status = 'started'",
            "SELECT pgflow.complete_task(%s, %s, 0, '{}')",
        )
        with psycopg.connect(database.conninfo, autocommit=True) as worker:
            worker.execute(start)
            worker.execute(complete, (run, "a"))
        with psycopg.connect(database.conninfo) as late, ThreadPoolExecutor(1) as beside:
            late.execute(start + " WHERE step_slug = 'b'")
            late.execute(complete, (run, "b"))  # the last one: it makes no new row, and its client is killed now
            cleaning = beside.submit(target.release, database)
            assert until(lambda: value(shop, "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0)
            late.commit()
            cleaned = cleaning.result(30)

    assert cleaned.leftovers == ()
    assert _contents(shop) == before


def test_a_clean_up_that_fails_tells_what_is_left(shop: str) -> None:
    nonce = new_nonce()
    with given(shop) as target:
        database = target.acquire(nonce)
        _run_flow(database, nonce)
        rows(shop, f"CREATE VIEW public.watch AS SELECT * FROM pgmq.q_{database.slug_prefix}0")

        cleaned = target.release(database)

        rows(shop, "DROP VIEW public.watch")
        assert any("1 in pgmq.meta" in left for left in cleaned.leftovers)
        assert any("cannot drop table" in left for left in cleaned.leftovers)
        assert target.release(database).leftovers == ()


def test_what_a_killed_run_left_in_a_database_is_gone_after_the_next_start(shop: str) -> None:
    before = _contents(shop)
    with Tool(shop) as killed, Tool(shop) as other:
        _, prefix, _ = killed.ready()
        _, kept_prefix, _ = other.ready()
        for slug in (f"{prefix}0", f"{kept_prefix}0"):
            rows(shop, "SELECT pgflow.create_flow(%s)", slug)
        killed.kill()

        with given(shop):
            flows = rows(shop, "SELECT flow_slug FROM pgflow.flows")
        other.finish()

    assert flows == [(f"{kept_prefix}0",)]
    assert _contents(shop) == before


@pytest.mark.parametrize("isolation", [Isolation.CLONE, Isolation.FRESH])
def test_a_database_of_its_own_is_made_and_dropped(server: str, empty: str, isolation: Isolation) -> None:
    nonce = new_nonce()
    with given(empty, isolation=isolation) as target:
        database = target.acquire(nonce)
        _run_flow(database, nonce)
        events = value(database.conninfo, "SELECT count(*) FROM realtime.messages")
        facts = target.fingerprint()

        cleaned = target.release(database)

    assert database.name.startswith("pgflow_stress_s")
    assert events == 2
    assert cleaned.leftovers == ()
    assert databases(server) == []
    assert facts.pgflow["pgmq"] == {"version": "1.13.0", "installed_as": "sql"}
    assert facts.pgflow["version"] == "0.8.1"
    assert facts.postgres["isolation"] == isolation
    assert facts.settings["fsync"] == "off"


def test_a_killed_runs_database_is_dropped_by_the_next_start_and_a_living_ones_is_not(server: str) -> None:
    with Tool(server, "fresh") as killed, Tool(server, "clone") as other:
        killed.ready()
        name = other.ready()[0]
        killed.kill()

        with given(server, isolation=Isolation.CLONE):
            left = databases(server)
        other.finish()

    assert left == [name]
    assert databases(server) == []


def test_what_was_not_released_is_dropped_at_the_end(server: str) -> None:
    with pytest.raises(KeyboardInterrupt), given(server, isolation=Isolation.FRESH) as target:
        target.acquire(new_nonce())
        raise KeyboardInterrupt

    assert databases(server) == []


def test_a_database_that_nobody_typed_needs_consent(shop: str, empty: str) -> None:
    name = empty.rpartition("dbname=")[2]
    rows(shop, "DROP SCHEMA pgflow_stress CASCADE")  # a pgflow of the user's own
    environment = {"DATABASE_URL": shop}

    with pytest.raises(SetUpFault, match=f"--yes-on {name}"), open_target(TargetOptions(), quiet, environment):
        pass
    with open_target(TargetOptions(yes_on=(name,)), quiet, environment) as target:
        assert target.acquire(new_nonce()).name == name


def test_a_database_that_db_install_marked_needs_no_more_consent(shop: str) -> None:
    with open_target(TargetOptions(), quiet, {"DATABASE_URL": shop}) as target:
        assert target.fingerprint().pgflow["version"] == "0.8.1"


def test_an_unreachable_server_is_told_without_the_password(server: str) -> None:
    with pytest.raises(SetUpFault) as told, given("postgresql://u:hunter2secret@127.0.0.1:1/x"):
        pass

    assert "127.0.0.1:1" in str(told.value)
    assert "hunter2secret" not in str(told.value)


def test_each_missing_right_is_named_before_anything_is_made(shop: str) -> None:
    role = f"driver_{uuid.uuid4().hex[:8]}"
    rows(shop, f"CREATE ROLE {role} LOGIN")
    dsn = shop.replace("user=postgres", f"user={role}")
    try:
        with pytest.raises(SetUpFault) as told, given(dsn):
            pass
        assert "USAGE on schema pgflow" in str(told.value)
        assert "CREATE on schema pgmq" in str(told.value)
        assert "SELECT, INSERT, DELETE on table realtime.messages" in str(told.value)

        with pytest.raises(SetUpFault, match="lacks CREATEDB"), given(dsn, isolation=Isolation.FRESH):
            pass
        with pytest.raises(SetUpFault, match="lacks CREATE on database"):
            _install(dsn.rpartition("dbname=")[0] + "dbname=postgres")
    finally:
        rows(shop, f"DROP ROLE {role}")


def test_a_plain_role_with_the_named_rights_gets_a_clean_run(shop: str) -> None:
    role = f"driver_{uuid.uuid4().hex[:8]}"
    rows(shop, f"CREATE ROLE {role} LOGIN")
    rows(shop, f"GRANT USAGE ON SCHEMA pgflow, pgmq, realtime TO {role}")
    rows(shop, f"GRANT CREATE ON SCHEMA pgmq TO {role}")
    rows(shop, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgflow TO {role}")
    rows(shop, f"GRANT SELECT, INSERT, DELETE ON pgmq.meta, realtime.messages TO {role}")
    rows(shop, "DROP SCHEMA pgflow_stress CASCADE")  # the mark's own rights are not granted, and it isn't needed
    before = _contents(shop)
    nonce = new_nonce()
    try:
        with given(shop.replace("user=postgres", f"user={role}")) as target:
            database = target.acquire(nonce)
            _run_flow(database, nonce)
            cleaned = target.release(database)
        assert cleaned.leftovers == ()
        assert _contents(shop) == before
    finally:
        rows(shop, f"DROP OWNED BY {role}")
        rows(shop, f"DROP ROLE {role}")


def test_a_plain_role_that_may_create_databases_gets_fresh_ones(server: str) -> None:
    role = f"maker_{uuid.uuid4().hex[:8]}"
    rows(server, f"CREATE ROLE {role} LOGIN CREATEDB")
    nonce = new_nonce()
    try:
        for isolation in (Isolation.FRESH, Isolation.CLONE):
            with given(server.replace("user=postgres", f"user={role}"), isolation=isolation) as target:
                database = target.acquire(nonce)
                _run_flow(database, nonce)
                assert target.release(database).leftovers == ()
                assert target.fingerprint().pgflow["pgmq"]["installed_as"] == "sql"
    finally:
        clean_given(
            TargetOptions(dsn=server, dsn_typed=True), choose_target(TargetOptions(dsn=server, dsn_typed=True), {})
        )
        rows(server, f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("DROP FUNCTION pgflow.start_tasks", r"no function pgflow\.start_tasks"),
        (
            "ALTER TYPE pgmq.message_record RENAME ATTRIBUTE headers TO other CASCADE",
            r"pgmq\.message_record has no headers",
        ),
    ],
)
def test_an_unsupported_pgflow_is_refused_with_the_reason(shop: str, damage: str, why: str) -> None:
    rows(shop, damage)

    with pytest.raises(SetUpFault, match=f"not supported: {why}"), given(shop):
        pass


def _drop_partitions(dsn: str) -> None:
    partitions = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'realtime.messages'::regclass"
    for (partition,) in rows(dsn, partitions):
        rows(dsn, f"DROP TABLE {partition}")


def test_missing_partitions_are_made_in_a_database_of_ours(shop: str) -> None:
    _drop_partitions(shop)
    nonce = new_nonce()
    with given(shop) as target:
        _run_flow(target.acquire(nonce), nonce)

        assert value(shop, "SELECT count(*) FROM realtime.messages") == 2


def test_missing_partitions_are_told_in_any_other_database(shop: str) -> None:
    rows(shop, "DROP SCHEMA pgflow_stress CASCADE")
    _drop_partitions(shop)
    said: list[str] = []

    with given(shop, said) as target:
        facts = target.fingerprint().pgflow

    assert "no partition for today" in said[0]
    assert facts["events_not_stored"] == "realtime.messages has no partition for today"


def test_installing_twice_does_nothing_the_second_time(empty: str) -> None:
    first, second = _install(empty), _install(empty)

    assert (first.already, second.already) == (False, True)
    assert first.facts["schema_sha256"] == second.facts["schema_sha256"]


@needs_later_pgflow
def test_another_version_is_not_installed_over_one(shop: str) -> None:
    with pytest.raises(SetUpFault, match=r"has another pgflow \(0\.8\.1\)"):
        _install(shop, pgflow=str(LATER_PGFLOW))


def test_an_installation_that_fails_leaves_nothing(empty: str, tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "1_pgflow_a.sql").write_text("CREATE SCHEMA pgflow; CREATE TABLE pgflow.flows ();")
    (folder / "2_pgflow_b.sql").write_text("SELECT no_such_function();")

    with pytest.raises(SetUpFault, match=r"migration 2_pgflow_b\.sql: function no_such_function\(\) does not exist"):
        _install(empty, pgflow=str(folder))

    schemas = "SELECT nspname FROM pg_namespace WHERE nspname IN ('pgflow', 'pgmq', 'realtime', 'pgflow_stress')"
    assert rows(empty, schemas) == []


@pytest.mark.parametrize(
    "options", [{"pg_settings": (("work_mem", "1MB"),)}, {"realtime_send": "noop"}, {"pgflow": "0.9.0"}]
)
def test_options_of_other_targets_are_refused(shop: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageFault), given(shop, **options):
        pass


def test_clean_removes_what_dead_runs_left_and_nothing_else(server: str, shop: str) -> None:
    rows(shop, "SELECT pgflow.create_flow('orders')")
    nonce = new_nonce()
    rows(shop, f"SELECT pgflow.create_flow('ps{nonce:016x}_0')")
    rows(shop, f"CREATE PUBLICATION pgflow_stress_{nonce:016x}")
    rows(shop, f"SELECT pg_create_logical_replication_slot('pgflow_stress_{nonce:016x}', 'pgoutput')")
    rows(shop, f"CREATE DATABASE pgflow_stress_s01234567_{nonce:016x}")
    typed = TargetOptions(dsn=shop, dsn_typed=True)

    removed, problems = clean_given(typed, choose_target(typed, {}))

    assert problems == []
    assert f"pgflow_stress_s01234567_{nonce:016x}" in removed
    assert databases(server) == []
    assert rows(shop, "SELECT flow_slug FROM pgflow.flows") == [("orders",)]
    assert rows(shop, "SELECT 1 FROM pg_publication") == []
    assert rows(shop, "SELECT 1 FROM pg_replication_slots") == []
