"""The table of a task's cost: waits are taken out where they were, and the rest is held against the kernel's count."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.analysis.attribution import STATEMENT, Row
from pgflow_stress.analysis.profile import OUTSIDE, RUN_QUEUE, Held, held_up, place, profile_of
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_US
from tests.fixtures.profiles import LOCKING, UPDATING, profiled_repetition, profiled_result
from tests.fixtures.results import build_result


def microseconds(ns: float) -> float:
    return ns / NS_PER_US


def test_rows_less_waits_are_the_cpu_time_that_the_kernel_counted() -> None:
    cost = profiled_result().profile["cost"]

    assert microseconds(cost["wall_ns_per_task"]) == pytest.approx(1_000)
    assert {one["wait"]: round(microseconds(one["ns_per_task"])) for one in cost["waits"]} == {
        "a lock on a row of pgflow.runs": 300,
        RUN_QUEUE: 150,
        "IO:WalSync": 100,
    }
    assert microseconds(cost["cpu_ns_per_task"]) == pytest.approx(450)
    assert cost["residual_share"] == pytest.approx(0)
    assert sum(row["cpu_ns_per_task"] for row in cost["rows"]) == pytest.approx(cost["cpu_ns_per_task"])


def test_a_wait_is_taken_out_of_the_statement_that_it_was_in() -> None:
    cost = profiled_result().profile["cost"]

    cpu = {row["statement"] or row["kind"]: microseconds(row["cpu_ns_per_task"]) for row in cost["rows"]}
    # 600 us were runnable and 450 on a core: 100 of the lock's statement, 200 of the other, 200 outside.
    assert cpu[LOCKING] == pytest.approx(75)
    assert cpu[UPDATING] == pytest.approx(150)
    assert cpu[OUTSIDE] == pytest.approx(150)
    lock = next(one for one in cost["waits"] if one["wait"].startswith("a lock"))
    assert lock["at"] == f"pgflow.complete_task: {LOCKING}"


def test_a_residual_is_told_and_not_spread() -> None:
    cost = profiled_result(profiled_repetition(cpu_us=500.0)).profile["cost"]

    assert cost["residual_share"] == pytest.approx(0.1)
    assert microseconds(cost["cpu_ns_per_task"]) == pytest.approx(450)


def test_a_function_is_told_with_its_statements() -> None:
    (one,) = profiled_result().profile["cost"]["functions"]

    parts = sum(one[f"{kind}_ns_per_task"] for kind in ("around", "planning", "statements"))
    assert one["name"] == "pgflow.complete_task"
    assert one["self_ns_per_task"] == pytest.approx(parts)
    assert microseconds(one["statements_ns_per_task"]) == pytest.approx(225)


def test_the_workers_time_is_split_between_the_sides() -> None:
    time = profiled_result().profile["worker_time"]

    assert microseconds(time["whole_ns_per_task"]) == pytest.approx(1_200)
    assert microseconds(time["server_ns_per_task"]) == pytest.approx(1_000)
    assert microseconds(time["wire_ns_per_task"]) == pytest.approx(200)


def without(repetition: Repetition, *names: str) -> Repetition:
    server = {key: value for key, value in repetition.server.items() if key not in names}
    telemetry = {key: value for key, value in repetition.telemetry.items() if key not in names}
    return replace(repetition, server=server, telemetry=telemetry)


def test_a_server_on_another_host_has_wall_time_alone() -> None:
    cost = profiled_result(without(profiled_repetition(), "backends")).profile["cost"]

    assert (cost["cpu_ns_per_task"], cost["backend_cpu_ns_per_task"], cost["residual_share"]) == (None, None, None)
    assert cost["rows"][0]["wall_ns_per_task"] > 0


def test_without_samples_no_wait_is_known_and_no_cpu_time_claimed() -> None:
    profile = profiled_result(without(profiled_repetition(), "executing_samples")).profile

    assert profile["cost"]["waits"] == []
    assert profile["cost"]["cpu_ns_per_task"] is None
    assert profile["worker_time"]["server_ns_per_task"] is None


def test_without_any_view_a_profile_says_what_it_lacks() -> None:
    repetition = profiled_repetition()
    lacking = {"statements": [], "functions": [], "active_ns": None, "not_seen": ["statements: not there"]}
    found = profiled_result(replace(repetition, server={**repetition.server, "profile": lacking})).profile

    assert found["cost"]["rows"] == []
    assert "statements: not there" in found["not_seen"]


def test_an_ordinary_result_has_no_profile() -> None:
    assert profile_of(build_result()) == {}


def test_a_wait_whose_kernel_state_is_unknown_counts_as_a_wait() -> None:
    samples = Counter({"process active unknown CPU": 75, "process active unknown Lock:tuple": 25})

    (one,) = held_up(samples, 1_000.0, {})

    assert (one.ns, one.table) == (250.0, "")


rows = st.lists(st.floats(0, 1e6), min_size=1, max_size=6)


@given(rows, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_waits_take_no_row_below_nothing_and_none_of_them_is_lost(own: list[float], parts: list[float]) -> None:
    made = [Row("f", LOCKING if at % 2 else UPDATING, STATEMENT, 1, ns) for at, ns in enumerate(own)]
    scale = sum(own) / len(parts)
    held = [Held("lock", part * scale, "pgflow.runs" if at % 2 else "") for at, part in enumerate(parts)]

    blocked, where = place(made, held)

    assert len(where) == len(held)
    assert sum(blocked) == pytest.approx(sum(one.ns for one in held), abs=1e-3)
    assert all(part <= row.self_ns + 1e-3 for part, row in zip(blocked, made, strict=True))
