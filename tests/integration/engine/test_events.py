"""Every event accounted for, on both transports: of each shape, of each planted fault, across each cut."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

import psycopg
import pytest

from pgflow_stress.core.arena import Word
from pgflow_stress.core.ids import run_id
from pgflow_stress.engine.event_accounts import EventFindings
from pgflow_stress.engine.self_test.planted_sends import DROP_PARTITIONS, PLANTED
from pgflow_stress.scenario.events import events_per_run
from pgflow_stress.scenario.flow import FlowShape, Step, independent_steps
from pgflow_stress.target.base import Target
from tests.integration.engine.observing import Observed, observed
from tests.integration.engine.partitions import cut_partition

TRANSPORTS = ("wal", "notify")
CHAIN = FlowShape(tuple(Step(f"c{index}", (index - 1,) if index else ()) for index in range(5)))
FAN_IN = FlowShape((*(Step(f"p{index}") for index in range(4)), Step("sum", (0, 1, 2, 3))))
MAPS = FlowShape(
    (
        Step("list"),
        Step("map", (0,), "map", 3),
        Step("again", (1,), "map", 3),
        Step("sum", (2,)),
        Step("root", (), "map", 3),
    )
)
EMPTY_MAPS = FlowShape(
    (
        Step("list"),
        Step("map", (0,), "map", 0),
        Step("again", (1,), "map", 0),
        Step("sum", (2,)),
        Step("root", (), "map", 0),
    )
)


def _differences(found: EventFindings) -> dict[str, int]:
    return {one.name: one.count for one in found.differences}


def _ids(found: EventFindings, name: str) -> tuple[str, ...]:
    return next((one.ids for one in found.differences if one.name == name), ())


def _assert_exact(found: EventFindings, expected: int) -> None:
    assert found.expected == found.stored == found.received, found
    assert sum(found.expected.values()) == expected
    assert (found.missing, found.duplicate, found.unexpected) == (0, 0, 0)
    assert not found.differences
    assert all(check.ok for check in found.checks)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("shape", "given"),
    [
        pytest.param(independent_steps(7), {}, id="independent"),
        pytest.param(CHAIN, {}, id="chain"),
        pytest.param(FAN_IN, {}, id="fan-in"),
        pytest.param(MAPS, [1, 2, 3], id="maps"),
        pytest.param(EMPTY_MAPS, [], id="empty-maps"),
    ],
)
def test_expected_stored_and_received_are_the_same(
    target: Target, transport: str, shape: FlowShape, given: object
) -> None:
    with observed(target, shape, transport) as made:
        made.create()
        for run in range(made.plan.runs):
            made.start(run, given)
        made.work(lambda step, _attempt: given if step == "list" else {})
        assert made.deliver()

        _assert_exact(made.account(), made.plan.runs * events_per_run(shape))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_run_that_fails_after_retries_is_expected_to_say_so(target: Target, transport: str) -> None:
    with observed(target, CHAIN, transport) as made:
        made.create(max_attempts=2)
        for run in range(3):
            made.start(run)
        made.work(lambda step, _attempt: RuntimeError("planted") if step == "c2" else {})
        assert made.deliver()

        found = made.account()
        _assert_exact(found, 3 * (3 + 3 + 2))
        assert found.expected == {
            "run:started": 3, "run:failed": 3, "step:started": 9, "step:completed": 6, "step:failed": 3,
        }  # fmt: skip


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_run_that_was_cut_short_misses_nothing(target: Target, transport: str) -> None:
    with observed(target, CHAIN, transport) as made:
        made.create()
        made.start(0)
        assert made.deliver()

        _assert_exact(made.account(), 2)


@pytest.mark.parametrize(
    ("planted", "name", "missing", "duplicate", "unexpected"),
    [
        ("drops 1 in N", "never sent", True, False, False),
        ("twice", "stored twice", False, True, False),
        ("wrong topic", "wrong topic", True, False, True),
        ("wrong type", "wrong type", True, False, True),
    ],
)
def test_a_planted_fault_of_realtime_send_is_named(
    target: Target, planted: str, name: str, missing: bool, duplicate: bool, unexpected: bool
) -> None:
    with observed(target, independent_steps(60), "wal", runs=2) as made:
        made.connection.execute(PLANTED[planted].encode())
        made.create()
        for run in range(2):
            made.start(run)
        made.work()
        assert made.deliver()

        found = made.account()
        count = _differences(found)[name]
        assert count > 0
        assert (found.missing, found.duplicate, found.unexpected) == (
            count * missing, count * duplicate, count * unexpected,
        )  # fmt: skip
        assert len(_ids(found, name)) >= 1
        assert all(str(run_id(made.nonce, 0))[:18] in text for text in _ids(found, name))
        assert set(_differences(found)) <= {name, "unexpected"} if name == "wrong type" else {name}
        failed = [check for check in found.checks if not check.ok]
        assert failed
        assert all(check.ids for check in failed)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_events_without_a_partition_are_sent_and_not_stored(target: Target, transport: str) -> None:
    with observed(target, independent_steps(5), transport, runs=1) as made:
        made.connection.execute(DROP_PARTITIONS.encode())
        made.create()
        made.start(0)
        made.work()
        assert made.deliver()

        found = made.account()
        assert _differences(found) == {"sent but not stored": 12}
        assert found.missing == 12
        assert "no partition" in next(one.detail for one in found.differences)


def test_a_run_across_midnight_loses_nothing(target: Target) -> None:
    with observed(target, independent_steps(10), "wal", runs=8) as made:
        cut_partition(made.connection, 0.5)
        made.create()
        for run in range(8):
            made.start(run)
            time.sleep(0.1)
        made.work()
        assert made.deliver()

        _assert_exact(made.account(), 8 * 22)


def test_events_that_pgflow_itself_doubles_are_listed_apart(target: Target) -> None:
    with observed(target, independent_steps(2), "wal", runs=1) as made:
        made.create()
        made.start(0)
        made.work()
        made.connection.execute("select pgflow.complete_task(%s, 's1', 0, '{}')", (run_id(made.nonce, 0),))
        made.arena.ledger[1] |= 8  # LedgerBit.TWICE, as the worker that completes twice sets it
        assert made.deliver()

        found = made.account()
        assert _differences(found) == {"doubled by pgflow": 1}
        assert (found.missing, found.duplicate, found.unexpected) == (0, 0, 0)
        assert found.stored["step:completed"] == found.received["step:completed"] == 3
        assert all(check.ok for check in found.checks)


def test_without_the_ledgers_word_a_double_is_a_fault(target: Target) -> None:
    with observed(target, independent_steps(2), "wal", runs=1) as made:
        made.create()
        made.start(0)
        made.work()
        made.connection.execute("select pgflow.complete_task(%s, 's1', 0, '{}')", (run_id(made.nonce, 0),))
        assert made.deliver()

        found = made.account()
        assert _differences(found) == {"stored twice": 1}
        assert _ids(found, "stored twice") == (f"{run_id(made.nonce, 0)} step:s1:completed",)


def test_events_out_of_order_are_found(target: Target) -> None:
    with observed(target, CHAIN, "wal", runs=1) as made:
        made.create()
        topic = f"pgflow:run:{run_id(made.nonce, 0)}"
        made.connection.execute("select realtime.send('{}', 'step:c0:started', %s)", (topic,))
        made.start(0)
        made.work()
        assert made.deliver()

        found = made.account()
        assert _ids(found, "out of order") == (f"{run_id(made.nonce, 0)} step:c0:started",)


def _run_one(made: Observed, run: int) -> None:
    made.start(run)
    made.work()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_cut_connection_is_made_again(target: Target, transport: str) -> None:
    with observed(target, independent_steps(10), transport, runs=10) as made:
        made.create()
        for run in range(10):
            _run_one(made, run)
            if run % 3 == 0:
                made.cut()
        assert made.deliver()

        found = made.account()
        assert int(made.words[Word.RECONNECTS]) == 4
        if transport == "wal":
            _assert_exact(found, 220)
        else:  # what is missing has a name
            assert set(_differences(found)) <= {"lost while the observer was away"}
            named = len(_ids(found, "lost while the observer was away"))
            assert found.missing == sum(_differences(found).values()) == named


def test_notifications_of_a_gap_are_named(target: Target) -> None:
    with observed(target, independent_steps(3), "notify", runs=3) as made:
        made.create()
        _run_one(made, 0)
        pid = int(made.arena.words[made.observation._order.region, Word.PID])
        time.sleep(0.3)
        os.kill(pid, signal.SIGSTOP)
        backend = int(made.arena.words[made.observation._order.region, Word.BACKEND_PID])
        made.connection.execute("select pg_terminate_backend(%s)", (backend,))
        time.sleep(0.2)
        _run_one(made, 1)
        os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + 20
        while not int(made.words[Word.GAPS]) and time.monotonic() < deadline:
            time.sleep(0.01)
        _run_one(made, 2)
        assert made.deliver()

        found = made.account()
        assert _differences(found) == {"lost while the observer was away": 8}
        assert found.missing == 8
        assert {text.split()[0] for text in _ids(found, "lost while the observer was away")} == {
            str(run_id(made.nonce, 1))
        }


def test_a_killed_observer_is_replaced_and_the_log_read_on(target: Target) -> None:
    with observed(target, independent_steps(10), "wal", runs=6) as made:
        made.create()
        for run in range(6):
            _run_one(made, run)
            if run == 2:
                region = made.observation._order.region
                os.kill(int(made.arena.words[region, Word.PID]), signal.SIGKILL)
                deadline = time.monotonic() + 20
                while made.observation._order.region == region and time.monotonic() < deadline:
                    made.observation.watch(0)
                    time.sleep(0.01)
        assert made.deliver()

        _assert_exact(made.account(), 132)
        assert [one.kind for one in made.observation.incidents] == ["observer lost", "observer replaced"]


def test_a_slow_observer_is_late_and_loses_nothing(target: Target) -> None:
    with observed(target, independent_steps(40), "wal", runs=1, observer_delay_ms=10) as made:
        made.create()
        _run_one(made, 0)
        assert not made.deliver(0.1)
        late = made.account()
        assert set(_differences(late)) == {"not received yet"}
        assert late.missing == 0
        assert all(check.ok for check in late.checks)

        assert made.deliver()
        _assert_exact(made.account(), 82)


def test_a_slot_that_the_server_gave_up_is_told(target: Target) -> None:
    with observed(target, independent_steps(3), "wal", runs=2) as made:
        made.create()
        _run_one(made, 0)
        slot: Any = made.observation.subscription.slot
        backend = int(made.arena.words[made.observation._order.region, Word.BACKEND_PID])
        made.connection.execute("select pg_terminate_backend(%s)", (backend,))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            made.connection.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s", (slot,)
            )
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                made.connection.execute("select pg_drop_replication_slot(%s)", (slot,))
                break
        _run_one(made, 1)
        deadline = time.monotonic() + 40
        while not made.observation.lost and time.monotonic() < deadline:
            made.observation.watch(0)
            time.sleep(0.02)
        assert slot in made.observation.lost

        found = made.account()
        assert set(_differences(found)) == {"stored but not received"}
        assert found.missing >= 8
        assert slot in next(one.detail for one in found.differences)
