"""Every way of sending statements, and every way of idling, on a real pgflow: each task is accounted for."""

from __future__ import annotations

import pytest

from tests.integration.engine.conftest import Run

ONCE = ("--repetitions", 1, "--warmup", 0, "--workers", 2)


@pytest.mark.parametrize("mode", ["single", "pipeline", "batch"])
@pytest.mark.parametrize(
    ("scenario", "size"), [("single-flow", ()), ("concurrent-flows", ("--flows", 7, "--runs", 12))]
)
def test_each_mode_accounts_for_every_task(run: Run, mode: str, scenario: str, size: tuple[object, ...]) -> None:
    code, document, said = run(scenario, "--steps", 5, *size, "--completion", mode, "--creation", mode, *ONCE)

    assert code == 0, said
    repetition = document["repetitions"][0]
    tasks = repetition["tasks"]
    assert tasks["completed"] == tasks["expected"] == (60 if size else 5)
    assert repetition["audit"]["ok"]
    assert repetition["phases"]["start"]["count"] == repetition["phases"]["start"]["latency_ns"]["count"]
    assert repetition["phases"]["create"]["count"] == (35 if size else 5)
    samples = repetition["phases"]["create"]["latency_ns"]["samples"]
    assert samples == {"batch": 2, "single": 6, "pipeline": 6}[mode] or size


@pytest.mark.parametrize("empty_poll", ["spin", "sleep:0.5", "read-with-poll:1,20"])
def test_each_way_of_idling_ends_with_the_work(run: Run, empty_poll: str) -> None:
    code, document, said = run("single-flow", "--steps", 30, "--empty-poll", empty_poll, "--poll-size", 4, *ONCE)

    assert code == 0, said
    assert document["scenario"]["parameters"]["empty_poll"] == empty_poll
    assert document["repetitions"][0]["client"]["polls"]["messages"] == 30


@pytest.mark.parametrize("payload", [2, 200_000])
def test_payloads_of_any_size_go_through(run: Run, payload: int) -> None:
    code, document, said = run("single-flow", "--steps", 25, "--payload", payload, *ONCE)

    assert code == 0, said
    assert document["repetitions"][0]["audit"]["ok"]


def test_completions_smaller_than_a_poll_are_several_statements(run: Run) -> None:
    code, document, said = run("single-flow", "--steps", 40, "--poll-size", 20, "--completion-batch-size", 3, *ONCE)

    assert code == 0, said
    latency = document["repetitions"][0]["client"]["complete"]["latency_ns"]
    assert latency["samples"] >= 14


def test_more_workers_than_flows_share_them(run: Run) -> None:
    code, document, said = run("concurrent-flows", "--flows", 2, "--runs", 20, "--steps", 3, *ONCE[:4], "--workers", 5)

    assert code == 0, said
    assert document["repetitions"][0]["tasks"]["completed"] == 60
    assert len(document["hosts"]) == 1


def test_inside_the_window_only_the_workers_statements_are_seen(run: Run) -> None:
    code, document, said = run(
        "single-flow", "--steps", 40, *ONCE, "--pg-setting", "shared_preload_libraries=pg_stat_statements"
    )

    assert code == 0, said
    statements = document["repetitions"][0]["server"]["statements"]
    sent = {s["query"] for s in statements if s["top_level"]}
    hot = ("pgflow.create_flow", "pgflow.add_step", "pgflow.start_flow", "pgmq.read", "pgflow.start_tasks",
           "pgflow.complete_task")  # fmt: skip
    ours = {query for query in sent if any(name in query for name in hot)}
    assert len(ours) == 6
    # What is left is the coordinator reading its own meters at the window's two ends.
    assert all("pg_" in query for query in sent - ours), sent - ours
    assert not [q for q in sent if q.lower().startswith(("grant", "create", "alter", "set"))]


def test_a_time_out_is_no_failure_and_what_was_left_is_counted(run: Run) -> None:
    code, document, said = run(
        "concurrent-flows", "--flows", 2, "--runs", 3000, "--steps", 3, "--completion", "single", *ONCE, "--timeout", 2
    )

    assert code == 124, said
    tasks = document["repetitions"][0]["tasks"]
    assert tasks["timed_out"] > 0
    assert tasks["expected"] == tasks["completed"] + tasks["timed_out"]
    assert document["repetitions"][0]["audit"]["ok"]
