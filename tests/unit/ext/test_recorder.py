"""The recorder: rows, histogram counts and errors, without the GIL and without a loss that nobody counts."""

from __future__ import annotations

import pytest

from pgflow_stress.core.arena import ERROR_SLOTS, Stat, Word
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.engine.private_books import new_region
from pgflow_stress_hot.clock import monotonic_ns, read_cost_ns, resolution_ns, smallest_step_ns
from pgflow_stress_hot.recorder import record_cost_ns, record_events


def test_a_row_holds_what_was_recorded() -> None:
    private = new_region(rows=4)

    private.region.record(Operation.READ, Status.OK, sent_ns=1_000, done_ns=3_500, items=7)

    row = private.rows[0]
    assert (row["sent_ns"], row["done_ns"], row["items"], row["operation"]) == (1_000, 3_500, 7, Operation.READ)
    assert private.words[Word.ROWS] == 1
    assert private.stats[Operation.READ].tolist()[:3] == [1, 2_500, 2_500]


def test_a_full_region_counts_the_rows_that_it_leaves_out_and_its_histogram_goes_on() -> None:
    private = new_region(rows=2)

    for _ in range(5):
        private.region.record(Operation.COMPLETE, Status.OK, 0, 10)

    assert private.words[Word.ROWS] == 2
    assert private.words[Word.ROWS_LEFT_OUT] == 3
    assert private.counts[Operation.COMPLETE].sum() == 5


def test_only_a_start_is_weighted_by_the_runs_it_carried() -> None:
    private = new_region(rows=4)

    private.region.record(Operation.START_FLOW, Status.OK, 0, 10, items=50)
    private.region.record(Operation.ADD_STEP, Status.OK, 0, 10, items=50)

    assert private.counts[Operation.START_FLOW].sum() == 50
    assert private.stats[Operation.START_FLOW, Stat.SAMPLES] == 1
    assert private.counts[Operation.ADD_STEP].sum() == private.stats[Operation.ADD_STEP, Stat.SAMPLES] == 1


def test_a_refused_statement_has_a_row_and_no_latency() -> None:
    private = new_region(rows=4)

    private.region.record(Operation.COMPLETE, Status.RETRIED, 0, 10, items=0)

    assert private.rows[0]["status"] == Status.RETRIED
    assert private.counts[Operation.COMPLETE].sum() == 0


def test_errors_are_kept_by_their_sqlstate_and_the_first_text() -> None:
    private = new_region(rows=1)

    private.region.error(Operation.COMPLETE, True, b"40P01", b"deadlock detected")
    private.region.error(Operation.COMPLETE, True, b"40P01", b"deadlock detected again")
    private.region.error(Operation.READ, False, b"42501", b"permission denied")

    kept = private.errors[private.errors["count"] > 0]
    assert kept["sqlstate"].tolist() == [b"40P01", b"42501"]
    assert kept["count"].tolist() == [2, 1]
    assert kept["text"][0] == b"deadlock detected"
    assert private.words[Word.ERRORS_RETRIED] == 2
    assert private.words[Word.ERRORS_FAILED] == 1


def test_more_kinds_of_error_than_there_is_room_for_are_still_counted() -> None:
    private = new_region(rows=1)

    for number in range(ERROR_SLOTS + 5):
        private.region.error(Operation.READ, False, f"X{number:04d}".encode(), b"x")

    assert private.errors["count"].sum() == ERROR_SLOTS + 5


def test_a_negative_latency_counts_as_none() -> None:
    private = new_region(rows=1)

    private.region.record(Operation.READ, Status.OK, sent_ns=10, done_ns=4)

    assert private.counts[Operation.READ][0] == 1


def test_a_region_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="no operation"):
        new_region(rows=1).region.record(99, 0, 0, 0)


def test_the_cost_of_recording_is_that_of_its_clock_and_a_bit() -> None:
    with_record, clock = record_cost_ns(new_region(rows=1024).region, 10_000)

    assert clock > 0
    assert with_record > 0


def test_recording_without_a_clock_fills_the_histogram() -> None:
    private = new_region(rows=16)

    record_events(private.region, 100)

    assert private.counts[Operation.TASK].sum() == 100


def test_the_clock_goes_forward_in_nanoseconds() -> None:
    first = monotonic_ns()

    assert monotonic_ns() >= first
    assert 1 <= resolution_ns() < 1_000_000
    assert read_cost_ns(1000) > 0
    assert smallest_step_ns(1000) >= 1
