"""Completions acknowledged and lost: explained only by a crash that took hold, and only the late ones."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_stress.core.arena import RunWord
from pgflow_stress.core.operations import Status
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.engine.faults.base import Blow
from pgflow_stress.engine.faults.losses import check_losses
from pgflow_stress.engine.private_books import new_books
from pgflow_stress.scenario.faults import Strike, parse_fault
from pgflow_stress.scenario.flow import independent_steps
from pgflow_stress.scenario.workload import workload

STRUCK_NS, HELD_NS = 10_000 * NS_PER_MS, 10_050 * NS_PER_MS


def _crash(**other: Any) -> Blow:
    blow = Blow(Strike(parse_fault("restart-immediate@1s"), 1, 1.0), struck_ns=STRUCK_NS, held_ns=HELD_NS)
    blow.proof = {"recovered_from_crash": True, "synchronous_commit": "off", "wal_writer_delay_ms": 200, **other}
    return blow


def test_a_completion_that_is_taken_back_is_to_be_done_again_and_is_told() -> None:
    books = new_books(workload(independent_steps(3), runs=1), [b"f0"], nonce=7)
    books.account.settle_start(0)
    books.account.settle(0, 1, 0, adopted=True)
    assert books.account.left(0) == 2

    assert books.account.take_back(0, 1, 0, 123)
    assert not books.account.take_back(0, 1, 0, 123)
    assert not books.account.take_back(0, 2, 0, 123)

    assert books.account.left(0) == 3
    assert not books.ledger.any()
    assert books.runs[0, RunWord.COMPLETED] == 0
    rows = books.private.rows[books.private.rows["status"] == Status.LOST]
    assert [(row["step_index"], row["sent_ns"]) for row in rows] == [(1, 123)]
    with pytest.raises(ValueError, match="no task"):
        books.account.take_back(0, 9, 0, 1)


def test_what_was_acknowledged_within_three_delays_of_the_crash_may_be_lost_and_nothing_older() -> None:
    lost = [("young", STRUCK_NS - 600 * NS_PER_MS), ("last", HELD_NS), ("old", STRUCK_NS - 601 * NS_PER_MS)]

    check = check_losses(lost, [_crash()])

    assert (check.ok, check.expected, check.found, check.ids) == (False, 2, 3, ("old",))
    assert check_losses(lost[:2], [_crash()]).ok


@pytest.mark.parametrize(
    "other", [{"synchronous_commit": "on"}, {"recovered_from_crash": False}], ids=["durable", "in order"]
)
def test_a_server_that_may_lose_nothing_explains_no_loss(other: dict[str, Any]) -> None:
    assert not check_losses([("one", STRUCK_NS)], [_crash(**other)]).ok


def test_a_crash_that_did_not_take_hold_explains_no_loss() -> None:
    missed = _crash()
    missed.held_ns = 0

    assert not check_losses([("one", STRUCK_NS)], [missed]).ok
    assert not check_losses([("one", STRUCK_NS)], []).ok
