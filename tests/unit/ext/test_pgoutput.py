"""The replication stream, as PostgreSQL documents it: events are booked, what comes again is passed over."""

from __future__ import annotations

import struct

import pytest

from pgflow_stress.core.arena import Word
from pgflow_stress.core.ids import run_id
from pgflow_stress.core.operations import Operation
from pgflow_stress.scenario.flow import independent_steps
from pgflow_stress_hot.pgoutput import Stream
from tests.unit.ext.event_books import NONCE, EventBooks, new_event_books

MARKER = b"end 0123456789abcdef "
NOTHING, MARKED, ASKED, BROKEN = range(4)
COLUMNS = ("topic", "extension", "payload", "event", "private", "updated_at", "inserted_at", "id")
POSTGRES_EPOCH_US = 946_684_800_000_000


def xlog(payload: bytes) -> bytes:
    return b"w" + struct.pack(">qqq", 0, 0, 0) + payload


def keepalive(end_lsn: int, asked: bool = False) -> bytes:
    return b"k" + struct.pack(">qq?", end_lsn, 0, asked)


def begin(lsn: int, commit_us: int = POSTGRES_EPOCH_US) -> bytes:
    return xlog(b"B" + struct.pack(">qqi", lsn, commit_us - POSTGRES_EPOCH_US, 7))


def commit(lsn: int, end_lsn: int) -> bytes:
    return xlog(b"C" + struct.pack(">bqqq", 0, lsn, end_lsn, 0))


def relation(columns: tuple[str, ...] = COLUMNS, name: str = "messages", oid: int = 99) -> bytes:
    described = b"".join(b"\0" + column.encode() + b"\0" + struct.pack(">ii", 25, -1) for column in columns)
    head = b"R" + struct.pack(">i", oid) + b"realtime\0" + name.encode() + b"\0d"
    return xlog(head + struct.pack(">h", len(columns)) + described)


def insert(run: int, event: str, columns: tuple[str, ...] = COLUMNS, oid: int = 99) -> bytes:
    values = {"topic": f"pgflow:run:{run_id(NONCE, run)}", "event": event, "payload": "{}"}
    tuple_data = b"".join(
        b"t" + struct.pack(">i", len(values[column])) + values[column].encode() if column in values else b"n"
        for column in columns
    )
    return xlog(b"I" + struct.pack(">i", oid) + b"N" + struct.pack(">h", len(columns)) + tuple_data)


def message(content: bytes) -> bytes:
    return xlog(b"M" + struct.pack(">bq", 1, 5) + b"pgflow_stress\0" + struct.pack(">i", len(content)) + content)


@pytest.fixture
def books() -> EventBooks:
    return new_event_books(independent_steps(3))


def feed(stream: Stream, *messages: bytes, at_ns: int = 1_000) -> list[int]:
    return [stream.take(one, at_ns) for one in messages]


def test_inserts_are_booked_and_their_transaction_confirmed(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    said = feed(
        stream, relation(), begin(100), insert(0, "run:started"), insert(0, "step:s0:started"), commit(100, 140)
    )

    assert said == [NOTHING] * 5
    assert books.received[0, 0] == 1
    assert (books.words[Word.RECEIVED], stream.confirmed_lsn) == (2, 140)
    assert (books.words[Word.COMMIT_LSN], books.words[Word.COMMIT_POSITION]) == (100, 2)


def test_columns_are_found_by_name(books: EventBooks) -> None:
    columns = ("id", "event", "topic")
    stream = Stream(books.book, MARKER, 0, 0, 0)

    feed(stream, relation(columns), begin(100), insert(1, "run:started", columns), commit(100, 140))

    assert books.received[1, 0] == 1


def test_what_came_before_a_cut_is_passed_over(books: EventBooks) -> None:
    sent = [
        relation(), begin(100), insert(0, "run:started"), commit(100, 140),
        begin(200), insert(0, "step:s0:started"), insert(0, "step:s1:started"), insert(0, "step:s2:started"),
        commit(200, 240), begin(300), insert(0, "step:s0:completed"), commit(300, 340),
    ]  # fmt: skip
    feed(Stream(books.book, MARKER, 0, 0, 0), *sent[:7])
    words = books.words

    feed(Stream(books.book, MARKER, int(words[Word.COMMIT_LSN]), int(words[Word.COMMIT_POSITION]), 0), *sent)

    assert words[Word.RECEIVED] == 5
    assert int(books.received.max()) == 1, "nothing twice"
    assert words[Word.REDELIVERED] == 3


def test_the_marker_ends_and_other_messages_do_not(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    assert feed(stream, message(b"end 0000000000000000 1"), message(MARKER), message(b"x")) == [NOTHING] * 3
    assert books.words[Word.MARKER] == 0
    assert feed(stream, message(MARKER + b"12")) == [MARKED]
    assert books.words[Word.MARKER] == 12


def test_a_keepalive_confirms_only_between_transactions(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    assert feed(stream, keepalive(50), keepalive(60, asked=True)) == [NOTHING, ASKED]
    assert stream.confirmed_lsn == 60
    feed(stream, relation(), begin(100), keepalive(500))
    assert stream.confirmed_lsn == 60
    feed(stream, commit(100, 140), keepalive(130))
    assert stream.confirmed_lsn == 140, "it never goes back"


def test_the_delay_from_commit_is_signed(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)
    ours_us = POSTGRES_EPOCH_US

    feed(stream, relation(), begin(1, ours_us), insert(0, "run:started"), commit(1, 2), at_ns=ours_us * 1000 + 5_000)
    feed(stream, begin(3, ours_us), insert(1, "run:started"), commit(3, 4), at_ns=ours_us * 1000 - 7_000)

    assert books.stats[Operation.AFTER_COMMIT].tolist()[:3] == [1, 5_000, 5_000]
    assert books.stats[Operation.BEFORE_COMMIT].tolist()[:3] == [1, 7_000, 7_000]


def test_other_relations_are_passed_over(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    said = feed(stream, relation(), relation(("a",), "others", 5), begin(1), insert(0, "run:started", oid=5))

    assert said == [NOTHING] * 4
    assert books.words[Word.RECEIVED] == 0


@pytest.mark.parametrize("sent", [relation(), insert(0, "run:started"), begin(1), commit(1, 2), message(MARKER + b"1")])
def test_a_message_that_is_cut_off_is_not_read_beyond_its_end(books: EventBooks, sent: bytes) -> None:
    for length in range(25, len(sent)):
        stream = Stream(books.book, MARKER, 0, 0, 0)
        feed(stream, relation())
        assert stream.take(sent[:length], 1) in (NOTHING, BROKEN)
    assert books.words[Word.RECEIVED] == 0


def test_what_is_not_of_the_protocol_is_said_to_be_broken(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    assert feed(stream, b"", b"z", b"w", relation(("no", "such"))) == [BROKEN] * 4


@pytest.mark.parametrize("stamp_us", [-(2**63), -POSTGRES_EPOCH_US - 1, 8_000_000_000_000_001, 2**63 - 1])
def test_a_commit_time_that_finds_no_room_in_nanoseconds_is_said_to_be_broken(books: EventBooks, stamp_us: int) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    assert feed(stream, xlog(b"B" + struct.pack(">qqi", 1, stamp_us, 7))) == [BROKEN]


def test_a_mark_whose_number_finds_no_room_is_none(books: EventBooks) -> None:
    stream = Stream(books.book, MARKER, 0, 0, 0)

    assert feed(stream, message(MARKER + b"9" * 18), message(MARKER + b"9" * 19)) == [MARKED, NOTHING]
    assert books.words[Word.MARKER] == 10**18 - 1
