"""An observer's books: which event is which, what follows from what, and how long it took."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pgflow_stress.core.arena import MOST_STRAYS, STRAY_DTYPE, EventBit, RunWord, Word
from pgflow_stress.core.events import EventKind, kind_at, place_in_run, places_per_run, step_at
from pgflow_stress.core.ids import run_id
from pgflow_stress.core.operations import Operation
from pgflow_stress.scenario.flow import FlowShape, Step
from tests.unit.ext.event_books import NONCE, RUNS, EventBooks, new_event_books

DIAMOND = FlowShape(
    (Step("top"), Step("left", (0,)), Step("right", (0,)), Step("end", (1, 2)), Step("empty", (3,), "map", 0))
)


@pytest.fixture
def books() -> EventBooks:
    return new_event_books(DIAMOND)


def _place(run: int, kind: EventKind, step: int = 0) -> int:
    return run * places_per_run(len(DIAMOND.steps)) + place_in_run(kind, step)


@pytest.mark.parametrize(
    ("event", "kind", "step"),
    [
        ("run:started", EventKind.RUN_STARTED, 0),
        ("run:completed", EventKind.RUN_COMPLETED, 0),
        ("run:failed", EventKind.RUN_FAILED, 0),
        ("step:top:started", EventKind.STEP_STARTED, 0),
        ("step:end:completed", EventKind.STEP_COMPLETED, 3),
        ("step:empty:failed", EventKind.STEP_FAILED, 4),
        ("step:left:skipped", EventKind.STEP_SKIPPED, 1),
    ],
)
def test_an_event_has_its_place(books: EventBooks, event: str, kind: EventKind, step: int) -> None:
    topic = f"pgflow:run:{run_id(NONCE, 2)}"

    assert books.book.find(topic.encode(), event.encode()) == (2, _place(2, kind, step))


@pytest.mark.parametrize(
    "event",
    ["", "run:", "run:skipped", "run:finished", "step:top", "step:top:", "step::started", "step:nobody:started"],
)
def test_a_name_that_no_event_has_is_a_stray(books: EventBooks, event: str) -> None:
    assert books.book.find(f"pgflow:run:{run_id(NONCE, 1)}".encode(), event.encode()) == (1, -2)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "pgflow:run:",
        "pgflow:run:not-a-uuid-at-all-but-as-long-as-oneX",
        f"pgflow:flow:{run_id(NONCE, 0)}",
        f"pgflow:run:{run_id(NONCE + 16, 0)}",
        f"pgflow:run:{run_id(NONCE, RUNS)}",
        f"pgflow:run:{str(run_id(NONCE, 0)).replace('-', '+')}",
        f"pgflow:run:{run_id(NONCE, 0)}x",
    ],
)
def test_a_topic_of_no_run_of_ours_is_foreign(books: EventBooks, topic: str) -> None:
    assert books.book.find(topic.encode(), b"run:started") == (-1, -1)


def test_places_and_kinds_go_together() -> None:
    for place in range(places_per_run(7)):
        assert place_in_run(kind_at(place), max(0, step_at(place))) == place


def test_what_comes_in_order_is_not_early(books: EventBooks) -> None:
    for event in (
        "run:started", "step:top:started", "step:top:completed", "step:left:started", "step:right:started",
        "step:right:completed", "step:left:completed", "step:end:started", "step:end:completed",
        "step:empty:completed", "run:completed",
    ):  # fmt: skip
        books.receive(0, event)

    assert not (books.received & EventBit.EARLY).any()
    assert int((books.received & EventBit.COUNT).sum()) == books.words[Word.RECEIVED] == 11


@pytest.mark.parametrize(
    ("before", "early"),
    [
        ((), "step:top:started"),
        (("run:started",), "step:left:started"),
        (("run:started",), "step:top:completed"),
        (("run:started", "step:top:started", "step:top:completed"), "step:empty:completed"),
        (("run:started", "step:top:started", "step:top:completed"), "run:completed"),
    ],
)
def test_what_comes_before_what_it_follows_from_is_early(
    books: EventBooks, before: tuple[str, ...], early: str
) -> None:
    for event in before:
        books.receive(1, event)
    assert not (books.received & EventBit.EARLY).any()

    books.receive(1, early)

    assert np.count_nonzero(books.received & EventBit.EARLY) == 1


def test_a_second_receipt_is_counted_and_not_timed(books: EventBooks) -> None:
    books.runs[0, RunWord.SENT_NS] = 1_000
    books.receive(0, "run:started", at_ns=5_000)
    books.receive(0, "run:started", at_ns=9_000)

    assert books.received[0, 0] == 2
    assert books.stats[Operation.DELIVER_RUN_STARTED].tolist()[:3] == [1, 4_000, 4_000]
    assert books.words[Word.RECEIVED_UNTIMED] == 1


def test_events_of_one_statement_are_one_sample(books: EventBooks) -> None:
    books.runs[0, RunWord.SENT_NS] = books.runs[1, RunWord.SENT_NS] = 1_000
    books.runs[2, RunWord.SENT_NS] = 2_000
    for run in range(3):
        books.receive(run, "run:started", at_ns=5_000)

    assert books.stats[Operation.DELIVER_RUN_STARTED].tolist()[:3] == [2, 11_000, 4_000]


def test_counts_end_at_fifteen(books: EventBooks) -> None:
    for _ in range(20):
        books.receive(0, "run:started")

    assert books.received[0, 0] & EventBit.COUNT == 15
    assert books.words[Word.RECEIVED] == 20


def test_a_step_is_caused_by_the_statement_that_ended_its_last_parent(books: EventBooks) -> None:
    books.runs[0, RunWord.SENT_NS] = 10
    books.caused[:4] = [100, 300, 200, 400]  # top, left, right, end of run 0
    place = books.book.cause_ns

    assert place(_place(0, EventKind.RUN_STARTED)) == 10
    assert place(_place(0, EventKind.STEP_STARTED, 0)) == 10
    assert place(_place(0, EventKind.STEP_STARTED, 1)) == 100
    assert place(_place(0, EventKind.STEP_STARTED, 3)) == 300
    assert place(_place(0, EventKind.STEP_COMPLETED, 2)) == 200
    assert place(_place(0, EventKind.STEP_COMPLETED, 4)) == 400, "an empty map ends with its parent"
    assert place(_place(0, EventKind.RUN_COMPLETED)) == 400
    assert place(_place(0, EventKind.STEP_FAILED, 0)) == 0


def test_a_cause_that_nobody_stamped_is_not_known(books: EventBooks) -> None:
    books.caused[:4] = [100, 0, 200, 0]

    assert books.book.cause_ns(_place(0, EventKind.STEP_STARTED, 3)) == 0
    books.receive(0, "step:end:started")
    assert books.words[Word.RECEIVED_UNTIMED] == 1


def test_strays_are_kept_by_name_and_beyond_their_room_counted(books: EventBooks) -> None:
    for number in range(MOST_STRAYS + 5):
        books.receive(0, f"step:x{number}:started")
    books.receive(0, "step:x7:started")

    assert books.words[Word.RECEIVED_STRAY] == MOST_STRAYS + 6
    assert books.words[Word.STRAYS_LEFT_OUT] == 5
    assert (books.strays["event"][7], books.strays["count"][7]) == (b"step:x7:started", 2)


def _row(topic: str, event: str | None) -> bytes:
    first = topic.encode()
    second = b"" if event is None else event.encode()
    return struct.pack(">hi", 2, len(first)) + first + struct.pack(">i", -1 if event is None else len(second)) + second


def test_stored_rows_are_counted_from_any_piece_of_a_copy(books: EventBooks) -> None:
    ours = f"pgflow:run:{run_id(NONCE, 1)}"
    rows = [
        _row(ours, "run:started"), _row(ours, "run:started"), _row("chat:1", "hello"), _row(ours, "what:now"),
        _row(ours, None), _row(ours, "step:top:completed"),
    ]  # fmt: skip
    whole = b"".join(rows) + struct.pack(">h", -1)
    for cut in range(len(whole) + 1):
        stored = np.zeros(books.received.size, dtype=np.uint8)
        used, foreign, strays = books.book.count_stored(whole[:cut], stored)
        more, more_foreign, more_strays = books.book.count_stored(whole[used:], stored)

        assert stored[_place(1, EventKind.RUN_STARTED)] == 2
        assert stored[_place(1, EventKind.STEP_COMPLETED, 0)] == 1
        assert int(stored.sum()) == 3
        assert foreign + more_foreign == 1
        assert strays + more_strays == [(1, b"what:now"), (1, b"")]
        assert used + more == len(whole) - 2, "all but the end's mark"


@pytest.mark.parametrize("length", [-1, 8, 2**31 - 5, 2**31 - 4, 2**31 - 1])
def test_a_stored_row_that_says_to_be_longer_than_it_is_waits_for_more(books: EventBooks, length: int) -> None:
    stored = np.zeros(books.received.size, dtype=np.uint8)

    used = books.book.count_stored(struct.pack(">hi", 2, length) + b"12345678", stored)

    assert used == (0, 0, [])


def test_books_of_another_shape_are_refused(books: EventBooks) -> None:
    from pgflow_stress_hot.events import EventBook  # noqa: PLC0415

    strays = np.zeros(MOST_STRAYS, dtype=STRAY_DTYPE).view(np.uint8)
    with pytest.raises(ValueError, match="shape"):
        EventBook(books.account, np.zeros((RUNS, 4), dtype=np.uint8), strays, [[]] * 5)
    with pytest.raises(ValueError, match="children"):
        EventBook(books.account, books.received, strays, [[1], [], [], [], []])
