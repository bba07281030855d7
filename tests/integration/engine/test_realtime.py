"""`--events realtime` as it is typed, against the stand-in that reads the real realtime.messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target.base import Target
from tests.fixtures.realtime_server import RealtimeServer, jwt
from tests.integration.target.helpers import value

Run = Callable[..., tuple[int, Any, str]]
ONCE = ["--repetitions", 1, "--warmup", 0]
CHECK = "events: Realtime answered nothing but events"


@pytest.fixture(scope="module")
def conninfo(target: Target) -> Iterator[str]:
    database = target.acquire(new_nonce())
    yield database.conninfo
    assert not target.release(database).leftovers


@pytest.fixture
def server(conninfo: str) -> Iterator[RealtimeServer]:
    with RealtimeServer(conninfo) as server:
        yield server


def options(conninfo: str, server: RealtimeServer, token: str | None = None) -> list[object]:
    where = ["--dsn", conninfo, "--isolation", "prefix", "--events", "realtime", "--realtime-url", server.url]
    return [*where, "--realtime-key", token or jwt(), *ONCE]


def execute(conninfo: str, statement: str) -> None:
    import psycopg  # noqa: PLC0415  after the libpq is chosen

    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(statement.encode())


def check(document: Any) -> Any:
    checks = document["repetitions"][0]["audit"]["checks"]
    return next(one for one in checks if one["name"] == CHECK)


def test_every_event_of_every_runs_channel_is_received_and_timed(
    run: Run, conninfo: str, server: RealtimeServer
) -> None:
    code, document, said = run("chain", "--runs", 12, "--steps", 3, *options(conninfo, server))

    assert code == 0, said
    events = document["repetitions"][0]["events"]
    assert events["transport"] == "realtime"
    assert sum(events["expected"].values()) == 12 * (2 + 2 * 3)
    assert events["expected"] == events["stored"] == events["received"]
    assert events["missing"] == events["duplicate"] == events["unexpected"] == 0
    assert events["delivery_ns"]["from_call"]["count"] == 12 * 8
    assert events["observer"]["answers"] == {}
    assert check(document)["ok"]
    assert server.connections == 1
    assert value(conninfo, "select count(*) from realtime.messages") == 0


def test_private_channels_get_what_is_sent_privately_alone(run: Run, conninfo: str, server: RealtimeServer) -> None:
    private = ["chain", "--runs", 3, "--steps", 1, *options(conninfo, server), "--realtime-private"]
    body = value(conninfo, "select pg_get_functiondef('realtime.send'::regproc)")
    changed = body.replace("VALUES (message_id, message_payload, event, topic, private,",
                           "VALUES (message_id, message_payload, event, topic, true,")  # fmt: skip
    assert changed != body

    code, document, said = run(*private)
    assert code == 4, said
    assert document["repetitions"][0]["events"]["received"] == {}

    execute(conninfo, changed)
    try:
        code, document, said = run(*private)
    finally:
        execute(conninfo, body)
    assert code == 0, said
    assert sum(document["repetitions"][0]["events"]["received"].values()) == 3 * 4


def test_runs_beyond_a_hundred_channels_have_another_connection(
    run: Run, conninfo: str, server: RealtimeServer
) -> None:
    code, document, said = run("chain", "--runs", 101, "--steps", 1, *options(conninfo, server))

    assert code == 0, said
    assert server.connections == 2
    assert sum(document["repetitions"][0]["events"]["received"].values()) == 101 * 4


def test_a_cut_is_rejoined_and_fails_the_run_with_what_was_lost_by_id(
    run: Run, conninfo: str, server: RealtimeServer
) -> None:
    stop = threading.Event()

    def cut_once() -> None:
        while not stop.wait(0.02):
            if sum(server.sent.broadcast.values()) > 60:
                server.disconnect()
                return

    cutting = threading.Thread(target=cut_once)
    cutting.start()
    try:
        code, document, said = run("chain", "--runs", 20, "--steps", 20, *options(conninfo, server))
    finally:
        stop.set()
        cutting.join()

    assert code == 4, said
    events = document["repetitions"][0]["events"]
    assert events["observer"]["answers"]["CHANNEL_ERROR"] == 21  # each run's channel and that of the mark
    assert check(document)["found"] == 21
    assert events["observer"]["gaps"]
    told = {one["name"]: one for one in events["differences"]}
    assert sum(one["count"] for one in told.values()) == events["missing"]
    assert all(one["ids"] for one in told.values())
    assert max(server.joins.values()) == 2


def test_a_rate_limit_fails_the_run_unless_it_is_allowed(run: Run, conninfo: str, server: RealtimeServer) -> None:
    server.faults.limit_messages = 2

    code, document, said = run("chain", "--runs", 6, "--steps", 4, *options(conninfo, server))

    assert code == 4, said
    assert document["repetitions"][0]["events"]["observer"]["answers"]["rate limit"] == 2
    assert not check(document)["ok"]

    server.faults.limit_messages = 2
    code, document, said = run("chain", "--runs", 6, "--steps", 4, *options(conninfo, server), "--allow-rate-limit")

    assert code == 0, said
    events = document["repetitions"][0]["events"]
    assert events["observer"]["answers"]["rate limit"] == 2
    (lost,) = events["differences"]
    assert "rate limit was reached and allowed" in lost["name"]
    assert lost["count"] == len(lost["ids"]) == events["missing"] >= 2


def test_an_overflow_is_counted_and_its_events_are_named(run: Run, conninfo: str, server: RealtimeServer) -> None:
    server.faults.overflow = 3

    code, document, said = run("chain", "--runs", 4, "--steps", 5, *options(conninfo, server))

    assert code == 4, said
    events = document["repetitions"][0]["events"]
    assert events["observer"]["answers"]["overflow"] == 3
    lost = {tuple(text.split(" ", 1)) for one in events["differences"] for text in one["ids"]}
    assert lost >= {(topic.removeprefix("pgflow:run:"), event) for topic, event in server.sent.unsent["overflow"]}


def test_a_key_that_lets_nobody_in_is_3_and_leaves_nothing(run: Run, conninfo: str, server: RealtimeServer) -> None:
    wrong = jwt(secret=b"of somebody else")

    code, document, said = run("chain", "--runs", 2, "--steps", 1, *options(conninfo, server, wrong))

    assert (code, document) == (3, None)
    assert "cannot be reached" in said
    assert wrong not in said
    assert value(conninfo, "select count(*) from pgflow.flows") == 0


def test_a_database_made_for_a_repetition_is_refused_as_no_realtime_reads_it(run: Run, server: RealtimeServer) -> None:
    code, document, said = run(
        "chain", "--events", "realtime", "--realtime-url", server.url, "--realtime-key", jwt(), *ONCE
    )

    assert (code, document) == (3, None)
    assert "--isolation prefix" in said
