from __future__ import annotations

import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.engine.self_test.planted_sends import DROP_PARTITIONS, EVERY, PLANTED
from pgflow_stress.target import cleanup, connect, observer_objects, observing
from pgflow_stress.target.base import Isolation, TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.embedded import EmbeddedTarget
from pgflow_stress.target.installing import install_into
from pgflow_stress.target.sweeping import clean_given
from tests.integration.engine.partitions import cut_partition
from tests.integration.target.helpers import Tool, databases, given, opened, plain_server, quiet, rows, until, value

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_TOPIC = "pgflow:run:0"


@pytest.fixture
def shop(server: str) -> Iterator[str]:
    """A database with pgflow that `db install` marked: its conninfo."""
    with _database(server) as dsn:
        _install(dsn)
        yield dsn


@pytest.fixture
def role(server: str) -> Iterator[str]:
    """A role that owns nothing and may only log in."""
    name = f"watcher_{uuid.uuid4().hex[:8]}"
    rows(server, f"CREATE ROLE {name} LOGIN")
    yield name
    rows(server, f"DROP ROLE {name}")


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"shop_{uuid.uuid4().hex[:8]}"
    rows(server, f"CREATE DATABASE {name}")
    try:
        yield server.replace("dbname=postgres", f"dbname={name}")
    finally:
        for (slot,) in rows(server, "SELECT slot_name FROM pg_replication_slots WHERE database = %s", name):
            rows(server, "SELECT pg_drop_replication_slot(%s)", slot)
        rows(server, f"DROP DATABASE {name} WITH (FORCE)")


def _install(dsn: str, **options: Any) -> None:
    typed = TargetOptions(dsn=dsn, dsn_typed=True, **options)
    install_into(typed, choose_target(typed, {}), quiet)


def _clean(dsn: str) -> tuple[list[str], list[str]]:
    typed = TargetOptions(dsn=dsn, dsn_typed=True)
    return clean_given(typed, choose_target(typed, {}))


@contextmanager
def _connected(dsn: str) -> Iterator[Connection]:
    with connect.connected(dsn, "the shop") as connection:
        yield connection


@contextmanager
def _reader(dsn: str, name: str) -> Iterator[None]:
    """A walsender that streams from a slot."""
    import psycopg  # noqa: PLC0415

    connection = psycopg.connect(dsn, autocommit=True, replication="database")
    try:
        command = f"START_REPLICATION SLOT {name} LOGICAL 0/0 (proto_version '1', publication_names '{name}')"
        assert connection.pgconn.exec_(command.encode()).status == psycopg.pq.ExecStatus.COPY_BOTH
        yield
    finally:
        connection.close()


def _made(dsn: str) -> list[tuple[Any, ...]]:
    """What observers made, in this database and of slots on the server."""
    return rows(
        dsn,
        """
        SELECT 'slot', slot_name::text FROM pg_replication_slots
        UNION ALL SELECT 'publication', pubname::text FROM pg_publication
        UNION ALL SELECT DISTINCT 'trigger', tgname::text FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'function', proname::text FROM pg_proc WHERE pronamespace = to_regnamespace('pgflow_stress')
        UNION ALL SELECT 'database', datname::text FROM pg_database WHERE starts_with(datname, 'pgflow_stress_s')
        ORDER BY 1, 2
        """,
    )


def _nonce_of(prefix: str) -> int:
    return int(prefix[2:18], 16)


def test_a_wal_subscription_publishes_inserts_under_the_tables_own_name_and_leaves_nothing(shop: str) -> None:
    nonce = new_nonce()
    name = f"pgflow_stress_{nonce:016x}"
    with _connected(shop) as connection:
        made = observing.subscribe(connection, "wal", nonce, "the shop")
        during = _made(shop)
        published = rows(
            shop, "SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, puballtables FROM pg_publication"
        )
        tables = rows(shop, "SELECT schemaname, tablename FROM pg_publication_tables")

        left = observing.unsubscribe(connection, made)
        again = observing.unsubscribe(connection, made)

    assert (made.slot, made.publication, made.channel) == (name, name, None)
    assert made.how == "publication on realtime.messages"
    assert made.realtime_send["mode"] == "supabase"
    assert during == [("publication", name), ("slot", name)]
    assert published == [(True, False, False, False, True, False)]
    assert tables == [("realtime", "messages")]
    assert (left, again) == ([], [])
    assert _made(shop) == []


def test_a_slot_that_is_still_read_is_dropped_all_the_same(shop: str) -> None:
    nonce = new_nonce()
    with _connected(shop) as connection:
        made = observing.subscribe(connection, "wal", nonce, "the shop")
        assert made.slot is not None
        with _reader(shop, made.slot):
            left = observing.unsubscribe(connection, made)

    assert left == []
    assert _made(shop) == []


@pytest.mark.parametrize(
    ("mode", "how", "kinds"),
    [
        ("supabase", "trigger on realtime.messages", ["function", "trigger"]),
        ("notify", "realtime.send notifies", []),
    ],
)
def test_equal_events_of_one_transaction_are_all_heard_with_topic_event_and_id(
    server: str, mode: str, how: str, kinds: list[str]
) -> None:
    with (
        _database(server) as shop,
        _connected_after_install(shop, mode) as connection,
        _connected(shop) as listener,
    ):
        made = observing.subscribe(connection, "notify", new_nonce(), "the shop")
        during = _made(shop)
        listener.execute(f"LISTEN {made.channel}".encode())
        with connection.transaction():
            for _ in range(2):
                connection.execute("SELECT realtime.send('{}', 'step:a:started', %s)", (_TOPIC,))

        heard = [notice.payload for notice in listener.notifies(timeout=10, stop_after=2)]
        ids = rows(shop, "SELECT id FROM realtime.messages")
        left = observing.unsubscribe(connection, made)
        after = _made(shop)

    assert sorted(heard) == sorted(f"{_TOPIC} step:a:started {row_id}" for (row_id,) in ids)
    assert len(set(heard)) == 2
    assert (made.how, made.slot, made.publication) == (how, None, None)
    assert [kind for kind, _ in during] == kinds
    assert (left, after) == ([], [])


@contextmanager
def _connected_after_install(dsn: str, mode: str) -> Iterator[Connection]:
    _install(dsn, realtime_send=mode)
    with _connected(dsn) as connection:
        yield connection


def test_a_trigger_leaves_others_topics_alone_however_long(shop: str) -> None:
    with _connected(shop) as connection:
        made = observing.subscribe(connection, "notify", new_nonce(), "the shop")

        connection.execute(
            "INSERT INTO realtime.messages (topic, extension, event) VALUES (%s, 'broadcast', NULL)", ("r" * 9000,)
        )

        assert observing.unsubscribe(connection, made) == []
    assert value(shop, "SELECT count(*) FROM realtime.messages") == 1


def test_what_is_made_is_gone_where_the_slot_does_not_come(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer_objects, "PATIENCE", "200ms")
    with _connected(shop) as busy, _connected(shop) as connection:
        busy.execute("BEGIN")
        busy.execute("SELECT pg_current_xact_id()")

        with pytest.raises(SetUpFault, match=r"no replication slot within .* pg_prepared_xacts.*--events none"):
            observing.subscribe(connection, "wal", new_nonce(), "the shop")

    assert _made(shop) == []


@pytest.mark.parametrize("transport", ["wal", "notify"])
def test_a_locked_table_is_told(shop: str, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer_objects, "PATIENCE", "200ms")
    with _connected(shop) as busy, _connected(shop) as connection:
        busy.execute("BEGIN")
        busy.execute("LOCK TABLE realtime.messages IN SHARE ROW EXCLUSIVE MODE")

        with pytest.raises(SetUpFault, match=r"another session has locked realtime\.messages .*--events none"):
            observing.subscribe(connection, transport, new_nonce(), "the shop")

    assert _made(shop) == []


def test_a_role_without_replication_is_refused_before_a_database_is_made(server: str, role: str) -> None:
    rows(server, f"ALTER ROLE {role} CREATEDB")
    dsn = server.replace("user=postgres", f"user={role}")
    before = value(server, "SELECT count(*) FROM pg_database")

    with (
        pytest.raises(SetUpFault, match=rf"role {role} lacks REPLICATION.*--events none works without"),
        given(dsn, isolation=Isolation.CLONE, events="wal"),
    ):
        pass

    assert value(server, "SELECT count(*) FROM pg_database") == before


def test_each_right_to_publish_is_named_and_with_all_of_them_it_works(server: str, shop: str, role: str) -> None:
    dsn = shop.replace("user=postgres", f"user={role}")
    name = shop.rpartition("dbname=")[2]
    rows(shop, f"GRANT USAGE ON SCHEMA pgflow, pgmq, realtime TO {role}")
    rows(shop, f"GRANT CREATE ON SCHEMA pgmq TO {role}")
    rows(shop, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgflow TO {role}")
    rows(shop, f"GRANT SELECT, INSERT, DELETE ON pgmq.meta, realtime.messages TO {role}")
    grants = (
        f"ALTER ROLE {role} REPLICATION",
        f"ALTER TABLE realtime.messages OWNER TO {role}",
        f"GRANT CREATE ON DATABASE {name} TO {role}",
    )
    missing = []
    try:
        for grant in grants:
            with pytest.raises(SetUpFault) as told, given(dsn, events="wal"):
                pass
            missing.append(str(told.value))
            rows(shop, grant)
        with given(dsn, events="wal") as target:
            nonce = new_nonce()
            database = target.acquire(nonce)
            with _connected(database.conninfo) as connection:
                observing.subscribe(connection, "wal", nonce, "the shop")
            cleaned = target.release(database)
    finally:
        rows(shop, "ALTER TABLE realtime.messages OWNER TO postgres")
        rows(shop, f"DROP OWNED BY {role}")

    assert "lacks REPLICATION" in missing[0]
    assert "doesn't own realtime.messages" in missing[1]
    assert f"lacks CREATE on database {name}" in missing[2]
    assert all("--events none works without" in message for message in missing)
    assert cleaned.leftovers == ()
    assert _made(shop) == []


def test_a_server_without_a_free_slot_is_told(server: str, shop: str) -> None:
    taken: list[str] = []
    with contextlib.suppress(Exception):
        while True:
            name = f"taken_{len(taken)}"
            rows(server, "SELECT pg_create_physical_replication_slot(%s)", name)
            taken.append(name)
    try:
        with (
            pytest.raises(SetUpFault, match=r"no replication slot is free.*max_replication_slots.*--events none"),
            given(shop, events="wal"),
        ):
            pass
        with given(shop, events="none"):
            pass
    finally:
        for name in taken:
            rows(server, "SELECT pg_drop_replication_slot(%s)", name)


def test_a_server_without_logical_decoding_is_told() -> None:
    with plain_server(wal_level="replica") as server:
        for isolation in (Isolation.CLONE, Isolation.FRESH):
            with (
                pytest.raises(SetUpFault, match=r"wal_level is replica.*--events none"),
                given(server, isolation=isolation, events="wal"),
            ):
                pass
        assert value(server, "SELECT count(*) FROM pg_database WHERE datname ~ 'pgflow'") == 0


def test_a_users_setting_that_leaves_the_embedded_server_without_senders_is_told(state: Path) -> None:
    settings = (("max_wal_senders", "0"),)
    with (
        pytest.raises(SetUpFault, match=r"no WAL sender is free.*max_wal_senders.*--events none"),
        opened(pg_settings=settings, events="wal"),
    ):
        pass
    with opened(pg_settings=settings, events="notify"):
        pass


def test_the_embedded_server_publishes_and_holds_no_wal_for_ever(state: Path) -> None:
    nonce = new_nonce()
    with opened(events="wal") as target:
        assert isinstance(target, EmbeddedTarget)
        database = target.acquire(nonce)
        maintenance = target.conninfo("postgres")
        with _connected(database.conninfo) as connection:
            made = observing.subscribe(connection, "wal", nonce, "the clone")
        assert made.slot is not None
        with _reader(database.conninfo, made.slot):
            cleaned = target.release(database)
        limits = [
            value(maintenance, "SHOW max_slot_wal_keep_size"),
            value(maintenance, "SHOW idle_replication_slot_timeout"),
        ]
        slots = rows(maintenance, "SELECT slot_name FROM pg_replication_slots")

    assert cleaned.leftovers == ()
    assert slots == []
    assert limits == ["8GB", "1h"]


def test_no_trigger_is_put_on_somebody_elses_table(server: str, shop: str) -> None:
    rows(shop, "DROP SCHEMA pgflow_stress CASCADE")  # a pgflow of the user's own

    with (
        pytest.raises(SetUpFault, match=r"--events wal or --isolation clone.*--events none"),
        given(shop, events="notify"),
    ):
        pass
    with given(shop, events="wal"):
        pass


def test_a_table_that_is_not_there_is_told(shop: str) -> None:
    rows(shop, "DROP TABLE realtime.messages")

    for transport in ("wal", "notify"):
        with (
            pytest.raises(SetUpFault, match=r"there is no realtime\.messages.*--events none"),
            given(shop, events=transport),
        ):
            pass


def test_an_unknown_transport_is_a_usage_fault(shop: str) -> None:
    with pytest.raises(UsageFault, match="none, notify, wal or realtime"), given(shop, events="pigeon"):
        pass


@pytest.mark.parametrize("transport", ["wal", "notify"])
@pytest.mark.parametrize("sweep", ["prefix", "fresh", "clean"])
def test_what_a_dead_runs_observer_made_is_dropped_and_a_living_ones_is_not(
    shop: str, transport: str, sweep: str
) -> None:
    with Tool(shop) as killed, Tool(shop) as other, _connected(shop) as connection:
        dead, living = (_nonce_of(tool.ready()[1]) for tool in (killed, other))
        for nonce in (dead, living):
            observing.subscribe(connection, transport, nonce, "the shop")
        with contextlib.ExitStack() as readers:
            if transport == "wal":
                for nonce in (dead, living):
                    readers.enter_context(_reader(shop, observer_objects.object_name(nonce)))
            killed.kill()

            if sweep == "clean":
                removed, problems = _clean(shop)
                assert problems == []
                assert any(f"{dead:016x}" in line for line in removed)
            else:
                with given(shop, isolation=Isolation(sweep)):
                    pass
            left = {name for _, name in _made(shop)}
        other.finish()

    assert left == {observer_objects.object_name(living)}
    assert _made(shop) == []  # the living one's release dropped it


def test_a_dead_runs_slot_is_dropped_from_another_database_of_the_server_too(server: str, shop: str) -> None:
    with Tool(shop) as killed, _connected(shop) as connection:
        observing.subscribe(connection, "wal", _nonce_of(killed.ready()[1]), "the shop")
        killed.kill()

        with given(server, isolation=Isolation.FRESH):
            left = [kind for kind, _ in _made(shop)]

    assert left == ["publication"]  # it holds no WAL, and ends with the next start in its database


@pytest.mark.parametrize(
    ("transport", "in_the_way", "waits"),
    [
        ("wal", "SELECT pg_current_xact_id()", "SELECT pg_create_logical_replication_slot"),
        ("wal", "LOCK TABLE realtime.messages IN SHARE ROW EXCLUSIVE MODE", "CREATE PUBLICATION"),
        ("notify", "LOCK TABLE realtime.messages IN SHARE ROW EXCLUSIVE MODE", "--"),
    ],
)
def test_what_a_dead_run_is_still_making_does_not_appear_later(
    shop: str, transport: str, in_the_way: str, waits: str
) -> None:
    nonce = new_nonce()  # whose lock nobody holds
    told: list[SetUpFault] = []

    def make() -> None:
        try:
            with _connected(shop) as connection:
                observing.subscribe(connection, transport, nonce, "the shop")
        except SetUpFault as error:
            told.append(error)

    start = f"/* {observer_objects.object_name(nonce)} */ {waits}"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND starts_with(query, %s)"
    with _connected(shop) as busy, _connected(shop) as control:
        busy.execute("BEGIN")
        busy.execute(in_the_way.encode())
        maker = threading.Thread(target=make)
        maker.start()
        assert until(lambda: bool(value(shop, waiting, start)))

        _, problems = cleanup.drop_dead_objects(control)

        busy.execute("ROLLBACK")
        maker.join(30)
        left = _made(shop)

    assert problems == []
    assert len(told) == 1
    assert left == []


def test_a_killed_runs_own_database_goes_with_its_slot(server: str) -> None:
    with Tool(server, "fresh") as killed:
        name, prefix, conninfo = killed.ready()
        with _connected(conninfo) as connection:
            made = observing.subscribe(connection, "wal", _nonce_of(prefix), name)
        assert made.slot is not None
        with given(server, isolation=Isolation.FRESH):
            while_living = _made(server)
        with _reader(conninfo, made.slot):
            killed.kill()

            with given(server, isolation=Isolation.FRESH):
                left = _made(server)

    assert ("slot", made.slot) in while_living
    assert left == []
    assert databases(server) == []


def test_partitions_are_made_as_many_days_ahead_as_asked_for(shop: str) -> None:
    count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'realtime.messages'::regclass"
    before = value(shop, count)

    with given(shop, days_ahead=4) as target:
        target.acquire(new_nonce())
    with given(shop, isolation=Isolation.FRESH, days_ahead=4) as target:
        fresh = target.acquire(new_nonce())
        in_fresh = value(fresh.conninfo, count)

    assert value(shop, count) == in_fresh == before + 3


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_send_strikes_as_its_name_says(shop: str, fault: str) -> None:
    calls = 2 * EVERY
    rows(shop, PLANTED[fault])
    for index in range(calls):
        rows(shop, "SELECT realtime.send('{}', %s, %s)", f"step:s{index}:started", _TOPIC)

    struck = {event for _, event in rows(shop, "SELECT topic, event FROM realtime.planted")}
    stored = rows(shop, "SELECT topic, event, id FROM realtime.messages")
    times = Counter(event for _, event, _ in stored)
    wrong_topics = {event for topic, event, _ in stored if topic != _TOPIC}

    assert struck == {f"step:s{EVERY - 1}:started", f"step:s{calls - 1}:started"}
    assert len({row_id for _, _, row_id in stored}) == len(stored)
    assert len(stored) == calls + {"drops 1 in N": -2, "erased": -2, "twice": 2}.get(fault, 0)
    assert {event for event in struck if times[event] == 2} == (struck if fault == "twice" else set())
    assert wrong_topics == (struck if fault == "wrong topic" else set())
    assert times["step:x:finished"] == (2 if fault == "wrong type" else 0)


def test_a_cut_partition_keeps_its_rows_and_takes_new_ones_on_both_sides(shop: str) -> None:
    send = "SELECT realtime.send('{}', 'e', 'pgflow:run:0')"
    rows(shop, send)
    with _connected(shop) as connection:
        cut_partition(connection, 0.0)  # the next send is behind the border
        rows(shop, send)
        both = rows(shop, "SELECT count(*), count(DISTINCT tableoid) FROM realtime.messages")
        connection.execute(DROP_PARTITIONS.encode())
        rows(shop, send)

    assert both == [(2, 2)]
    assert value(shop, "SELECT count(*) FROM realtime.messages") == 0
