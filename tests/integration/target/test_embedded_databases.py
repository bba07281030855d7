from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.ids import flow_slug_prefix, new_nonce, run_id
from pgflow_stress.target.base import Isolation, Target
from pgflow_stress.target.embedded import EmbeddedTarget
from tests.integration.target.helpers import (
    LATER_PGFLOW,
    Tool,
    databases,
    given,
    needs_later_pgflow,
    opened,
    rows,
    state_directory,
    value,
)

_PARTITIONS = """
    SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'realtime.messages'::regclass
      AND c.relname IN (to_char(now() AT TIME ZONE 'UTC', '"messages_"YYYY_MM_DD'),
                        to_char(now() AT TIME ZONE 'UTC' + interval '1 day', '"messages_"YYYY_MM_DD'))
"""


@pytest.fixture(scope="module")
def running(prototype: Path) -> Iterator[Path]:
    with state_directory(prototype=prototype) as folder, opened():
        yield folder


def _drive_one_task(conninfo: str, slug: str, run: uuid.UUID) -> int:
    """A flow of one step from create_flow to complete_task; events stored."""
    rows(conninfo, "SELECT pgflow.create_flow(%s)", slug)
    rows(conninfo, "SELECT pgflow.add_step(%s, 'only')", slug)
    rows(conninfo, "SELECT pgflow.start_flow(%s, '{}', %s)", slug, run)
    message = value(conninfo, "SELECT msg_id FROM pgmq.read(%s, 30, 10)", slug)
    worker = uuid.uuid4()
    rows(
        conninfo, "INSERT INTO pgflow.workers (worker_id, queue_name, function_name) VALUES (%s, %s, 'f')", worker, slug
    )
    assert value(conninfo, "SELECT run_id FROM pgflow.start_tasks(%s, %s, %s)", slug, [message], worker) == run
    rows(conninfo, "SELECT pgflow.complete_task(%s, 'only', 0, '1')", run)
    assert value(conninfo, "SELECT status FROM pgflow.runs WHERE run_id = %s", run) == "completed"
    return int(value(conninfo, "SELECT count(*) FROM realtime.messages WHERE topic = %s", f"pgflow:run:{run}"))


def test_an_acquired_database_runs_a_flow_and_stores_its_events(running: Path) -> None:
    nonce = new_nonce()
    with opened() as target:
        database = target.acquire(nonce)

        events = _drive_one_task(database.conninfo, f"{database.slug_prefix}0", run_id(nonce, 0))
        cleaned = target.release(database)

    assert (database.isolation, database.slug_prefix) == (Isolation.CLONE, flow_slug_prefix(nonce))
    assert events == 4
    assert cleaned.leftovers == ()


def test_partitions_of_today_and_tomorrow_are_made_though_the_template_is_older(running: Path) -> None:
    with opened() as target:
        assert isinstance(target, EmbeddedTarget)
        template = value(
            target.conninfo("postgres"), "SELECT datname FROM pg_database WHERE datistemplate AND datname ~ 'pgf'"
        )
        rows(target.conninfo("postgres"), f'ALTER DATABASE "{template}" WITH ALLOW_CONNECTIONS true')
        for (partition,) in rows(
            target.conninfo(template),
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'realtime.messages'::regclass",
        ):
            rows(target.conninfo(template), f"DROP TABLE {partition}")
        rows(target.conninfo("postgres"), f'ALTER DATABASE "{template}" WITH ALLOW_CONNECTIONS false')

        database = target.acquire(new_nonce())

        assert value(database.conninfo, _PARTITIONS) == 2


@pytest.mark.parametrize(("mode", "events"), [("insert", 4), ("notify", 4), ("noop", 0)])
def test_the_body_of_send_is_the_one_asked_for(running: Path, mode: str, events: int) -> None:
    nonce = new_nonce()
    with opened(realtime_send=mode) as target:
        database = target.acquire(nonce)

        stored = _drive_one_task(database.conninfo, f"{database.slug_prefix}0", run_id(nonce, 0))
        facts = target.fingerprint().pgflow["realtime_send"]

    assert stored == events
    assert facts["mode"] == mode
    assert len(facts["body_sha256"]) == 64


def test_the_migrations_run_unedited_with_pgmq_as_an_extension(running: Path) -> None:
    with opened() as target:
        database = target.acquire(new_nonce())
        extension = rows(
            database.conninfo,
            "SELECT extversion, extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pgmq'",
        )
        facts = target.fingerprint().pgflow

    assert extension == [("1.13.0", "pgmq")]
    assert facts["pgmq"] == {"version": "1.13.0", "installed_as": "extension"}
    assert facts["version"] == "0.8.1"


def test_the_fingerprint_tells_the_spoilers_and_no_path(running: Path) -> None:
    with opened() as target:
        found = target.fingerprint()

    text = json.dumps([found.postgres, found.pgflow, found.settings])
    assert str(running) not in text
    for spoiler in (
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "wal_level",
        "jit",
        "shared_buffers",
        "io_method",
    ):
        assert spoiler in found.settings
    assert (found.settings["fsync"], found.settings["wal_level"], found.settings["autovacuum"]) == (
        "on",
        "logical",
        "off",
    )
    assert found.postgres["version_num"] >= 180000
    assert (found.postgres["transport"], found.postgres["server_is_local"]) == ("socket", True)


def test_release_ends_connections_and_slots_in_the_database(running: Path) -> None:
    import psycopg  # noqa: PLC0415

    with opened() as target:
        assert isinstance(target, EmbeddedTarget)
        database = target.acquire(new_nonce())
        with psycopg.connect(database.conninfo) as busy:
            busy.execute("SELECT pg_create_logical_replication_slot('pgflow_stress_x', 'pgoutput')")

            cleaned = target.release(database)

            with pytest.raises(psycopg.OperationalError):
                busy.execute("SELECT 1")
        left = databases(target.conninfo("postgres"))
        slots = rows(target.conninfo("postgres"), "SELECT 1 FROM pg_replication_slots")

    assert cleaned.leftovers == ()
    assert database.name not in left
    assert slots == []


def test_nothing_of_ours_stays_connected_to_an_acquired_database(running: Path) -> None:
    with opened() as target:
        database = target.acquire(new_nonce())

        others = rows(
            database.conninfo,
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            database.name,
        )

    assert others == []


def test_what_was_not_released_is_dropped_at_the_end(running: Path) -> None:
    with opened() as target:
        target.acquire(new_nonce())
        target.acquire(new_nonce())

    with opened() as target:
        assert isinstance(target, EmbeddedTarget)
        assert databases(target.conninfo("postgres")) == []


def test_a_given_target_on_the_embedded_server_leaves_its_databases_alone(running: Path) -> None:
    with opened() as target:
        assert isinstance(target, EmbeddedTarget)
        database = target.acquire(new_nonce())
        with given(target.conninfo("postgres"), isolation=Isolation.CLONE) as guest:
            theirs = guest.acquire(new_nonce())
            both = databases(target.conninfo("postgres"))
            with Tool() as other:  # sweeps the embedded server's dead databases
                other.ready()
                still = databases(target.conninfo("postgres"))

    assert both == sorted([database.name, theirs.name])
    assert set(both) < set(still)


def test_statements_are_seen_where_the_library_is_loaded(state: Path) -> None:
    with opened(pg_settings=(("shared_preload_libraries", "pg_stat_statements"),)) as target:
        database = target.acquire(new_nonce())

        assert value(database.conninfo, "SELECT count(*) >= 0 FROM public.pg_stat_statements")


@needs_later_pgflow
def test_a_later_pgflow_installs_on_stand_ins(running: Path) -> None:
    nonce = new_nonce()
    with opened(pgflow=str(LATER_PGFLOW)) as target:
        database = target.acquire(nonce)

        events = _drive_one_task(database.conninfo, f"{database.slug_prefix}0", run_id(nonce, 0))
        facts = target.fingerprint().pgflow

    assert events == 4
    assert facts["label"] == "pgflow-0.14.1"
    assert facts["stand_ins"] == ["pg_net", "pg_cron", "supabase_vault"]
    assert str(LATER_PGFLOW.parent) not in json.dumps(facts)


@pytest.mark.parametrize("options", [{"isolation": Isolation.PREFIX}, {"realtime_send": "shout"}, {"purpose": "fun"}])
def test_what_cannot_be_is_refused_before_anything_is_started(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with state_directory() as state:
        with pytest.raises(UsageFault), opened(**options):
            pass

        assert not list(state.glob("instances/*/server"))


def test_a_target_has_what_the_engine_relies_on(running: Path) -> None:
    with opened() as target:
        interface: Target = target

        assert interface.embedded
        assert isinstance(target, EmbeddedTarget)
        assert target.libpq is not None
        assert os.path.isabs(target.conninfo("x").split()[0].removeprefix("host="))  # noqa: PTH117
