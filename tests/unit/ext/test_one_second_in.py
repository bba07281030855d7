"""A region that passes seconds by: histograms have all, rows one second in so many, and what was refused is kept."""

from __future__ import annotations

import pytest

from pgflow_stress.core.arena import Word
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.private_books import new_region


def test_rows_of_one_second_in_so_many_are_kept_and_the_others_counted() -> None:
    books = new_region(rows=100, one_second_in=4)

    for second in range(12):
        books.region.record(Operation.TASK, Status.OK, second * NS_PER_SECOND, second * NS_PER_SECOND + 5)

    assert (books.words[Word.ROWS], books.words[Word.ROWS_LEFT_OUT]) == (3, 9)
    assert (books.rows["done_ns"][:3] // NS_PER_SECOND).tolist() == [0, 4, 8]
    assert books.counts[Operation.TASK].sum() == 12


def test_an_empty_poll_is_passed_by_and_what_was_refused_is_not() -> None:
    books = new_region(rows=100, one_second_in=4)

    for status in (Status.EMPTY, Status.RETRIED, Status.FAILED):
        books.region.record(Operation.READ, status, NS_PER_SECOND, NS_PER_SECOND + 5)

    assert books.rows["status"][: books.words[Word.ROWS]].tolist() == [Status.RETRIED, Status.FAILED]


def test_a_region_records_every_second_unless_told_otherwise() -> None:
    books = new_region(rows=100)

    for second in range(5):
        books.region.record(Operation.TASK, Status.OK, second * NS_PER_SECOND, second * NS_PER_SECOND + 5)

    assert books.words[Word.ROWS] == 5
    with pytest.raises(ValueError, match="one second in 1 or more"):
        new_region(rows=10, one_second_in=0)
