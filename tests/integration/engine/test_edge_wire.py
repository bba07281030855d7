"""What an edge-worker puts on the wire, seen between it and the server: as postgres.js does with `prepare: false`."""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.driver import END_DONE, outputs_of
from pgflow_stress.engine.processing import Processing
from pgflow_stress.engine.statements import EDGE_STATEMENTS, JSONB
from pgflow_stress.scenario.options import EmptyPoll, Mode, RunOptions
from pgflow_stress.target.base import Target
from tests.integration.engine.driving import bench

STEPS = 7
OPTIONS = RunOptions(
    workers=1, steps=STEPS, poll_size=5, completion=Mode.SINGLE, worker_model="edge-worker", concurrency=5,
    empty_poll=EmptyPoll("read-with-poll"),
)  # fmt: skip
Message = tuple[str, bytes]


@contextlib.contextmanager
def listened_in(server: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket's folder that leads one client to the server, and what it sent."""
    sent: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/.s.PGSQL.5432")
        listener.listen()

        def pump(source: socket.socket, to: socket.socket, heard: list[bytes] | None) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    if heard is not None:
                        heard.append(data)
                    to.sendall(data)
                to.shutdown(socket.SHUT_RDWR)

        def serve() -> None:
            client, _ = listener.accept()
            with client, socket.socket(socket.AF_UNIX) as upstream:
                upstream.connect(str(server))
                back = threading.Thread(target=pump, args=(upstream, client, None), daemon=True)
                back.start()
                pump(client, upstream, sent)
                back.join()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield folder, sent
        serving.join(timeout=10)


def messages(stream: bytes) -> list[Message]:
    """(type, body) of each message."""
    at, found = 0, list[Message]()
    while at < len(stream):
        (length,) = struct.unpack_from("!i", stream, at + 1)
        found.append((chr(stream[at]), stream[at + 5 : at + 1 + length]))
        at += 1 + length
    return found


def parsed(body: bytes) -> tuple[bytes, bytes, tuple[int, ...]]:
    """Name, text and types of a Parse."""
    name, text, rest = body.split(b"\0", 2)
    (count,) = struct.unpack_from("!h", rest)
    return name, text, struct.unpack_from(f"!{count}i", rest, 2)


def test_each_statement_is_unprepared_and_takes_two_round_trips(target: Target) -> None:
    with bench(target, "single-flow", OPTIONS) as worker:
        assert (worker.driver.create(), worker.driver.start()) == (END_DONE, END_DONE)
        info = worker.connection.info
        with listened_in(Path(info.host, f".s.PGSQL.{info.port}")) as (folder, sent):
            where = f"host={folder} port=5432 dbname={info.dbname} user={info.user} gssencmode=disable sslmode=disable"
            with psycopg.connect(where, autocommit=True) as connection:
                outputs = outputs_of(worker.plan.work, OPTIONS.payload_bytes)
                processing = Processing(worker.order, worker.books.account, [connection], worker.books.header, outputs)
                before = len(b"".join(sent))
                end, _borrowed = processing.run()
                stream = b"".join(sent)[before:]

    assert end == END_DONE
    assert worker.books.private.words[Word.TASKS_COMPLETED] == STEPS
    said = messages(stream)
    kinds = "".join(kind for kind, _ in said)
    statements = [parsed(body) for kind, body in said if kind == "P"]
    read, start, complete, _fail, heartbeat = EDGE_STATEMENTS
    # libpq describes the portal before it executes it, which postgres.js does not.
    assert kinds == "PDHBDES" * len(statements)
    assert [text for _, text, _ in statements] == [
        heartbeat, read, start, *[complete] * 5, read, start, *[complete] * 2,
    ]  # fmt: skip
    assert {name for name, _, _ in statements} == {b""}
    assert {types for _, text, types in statements if text == complete} == {(0, 0, 0, JSONB)}
    assert {types for _, text, types in statements if text != complete} <= {(0,) * count for count in (1, 3, 5)}
