"""`run --events …` as it is typed: what it says, what it ends with, and that nothing of the observer outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pgflow_stress.target.base import Target
from tests.integration.engine.conftest import Run

COMMAND = [sys.executable, "-m", "pgflow_stress.cli.main", "run"]
ONCE = ("--workers", 2, "--repetitions", 1, "--warmup", 0)


def _slots(target: Target) -> list[str]:
    with psycopg.connect(target.conninfo("postgres"), autocommit=True) as connection:  # type: ignore[attr-defined]
        return [name for (name,) in connection.execute("select slot_name from pg_replication_slots").fetchall()]


def _only(document: Any) -> Any:
    return (document[0] if isinstance(document, list) else document)["repetitions"][0]


@pytest.mark.parametrize("transport", ["wal", "notify"])
def test_both_scenarios_have_every_event_three_times(run: Run, target: Target, transport: str) -> None:
    for scenario in (("single-flow", "--steps", 60), ("concurrent-flows", "--flows", 4, "--runs", 12, "--steps", 5)):
        code, document, said = run(*scenario, *ONCE, "--events", transport)

        events = _only(document)["events"]
        assert code == 0, said
        assert events["expected"] == events["stored"] == events["received"]
        assert (events["missing"], events["duplicate"], events["unexpected"]) == (0, 0, 0)
        assert events["subscribe_ns"] > 0
        deliver = _only(document)["phases"]["deliver"]
        assert deliver["count"] == sum(events["received"].values())
        assert deliver["latency_ns"]["max"] > 0
        assert events["observer"]["untimed"] == 0
        assert (events["delivery_ns"]["from_commit"] is None) == (transport == "notify")
    assert not _slots(target)


def test_events_that_are_never_sent_are_a_failed_check(run: Run) -> None:
    code, document, said = run("single-flow", "--steps", 20, *ONCE, "--events", "wal", "--realtime-send", "noop")

    events = _only(document)["events"]
    assert code == 4
    assert events["missing"] == 42
    assert events["differences"][0]["name"] == "never sent"
    assert len(events["differences"][0]["ids"]) == 42
    assert "never sent" in said
    assert "Traceback" not in said


def test_the_notifying_body_needs_no_trigger(run: Run) -> None:
    code, document, _ = run("single-flow", "--steps", 20, *ONCE, "--events", "notify", "--realtime-send", "notify")

    events = _only(document)["events"]
    assert code == 0
    assert (events["how"], events["realtime_send"]) == ("realtime.send notifies", "notify")


def test_a_slow_observer_is_late_and_not_lossy(run: Run) -> None:
    code, document, said = run(
        "concurrent-flows", "--flows", 2, "--runs", 10, "--steps", 10, *ONCE, "--events", "wal", "--observer-delay", 10
    )

    repetition = _only(document)
    assert code == 0, said
    assert repetition["events"]["missing"] == 0
    assert repetition["phases"]["deliver"]["seconds"] >= 2.2, "220 events, 10 ms each"
    assert max(repetition["events"]["backlog"]["events"]) > 20


def test_a_time_out_leaves_late_events_and_no_lost_ones(run: Run, target: Target) -> None:
    code, document, said = run(
        "concurrent-flows", "--flows", 2, "--runs", 20, "--steps", 10, *ONCE,
        "--events", "wal", "--observer-delay", 50, "--timeout", 4, "--drain-timeout", 1,
    )  # fmt: skip

    repetition = _only(document)
    assert code == 124, said
    assert repetition["events"]["missing"] == 0
    assert [one["name"] for one in repetition["events"]["differences"]] == ["not received yet"]
    assert repetition["audit"]["ok"]
    assert not _slots(target)


def test_the_cost_of_watching_is_measured_in_turns(run: Run) -> None:
    code, document, said = run(
        "concurrent-flows", "--flows", 2, "--runs", 6, "--steps", 5,
        "--workers", 2, "--repetitions", 2, "--warmup", 0, "--events", "wal", "--observer-cost",
    )  # fmt: skip

    whole = document[0] if isinstance(document, list) else document
    assert code == 0, said
    assert [one["events"]["transport"] for one in whole["repetitions"]] == ["wal", "none", "none", "wal"]
    assert whole["summary"]["process.per_second"]["n"] == 2
    cost = whole["outcome"]["observer_cost"]["process.per_second"]
    assert cost["n"] == 2
    assert cost["ci95"][0] <= cost["ratio"] <= cost["ci95"][1]


def test_a_server_without_slots_is_told_before_anything_is_made(run: Run) -> None:
    code, document, said = run(
        "single-flow", "--steps", 5, *ONCE, "--events", "wal", "--pg-setting", "max_replication_slots=0"
    )

    assert (code, document) == (3, None)
    assert "max_replication_slots" in said.splitlines()[-1]
    assert "--events none" in said.splitlines()[-1]


def _started(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    running = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--json", str(tmp_path / "r.json")],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("phase process"):
            return running
    raise AssertionError("no process phase")


_LONG = (
    "concurrent-flows",
    "--runs",
    500,
    "--flows",
    2,
    "--steps",
    5,
    *ONCE,
    "--completion",
    "single",
    "--events",
    "wal",
)


def test_an_interrupt_ends_with_what_was_received_and_no_slot(target: Target, tmp_path: Path) -> None:
    with _started(tmp_path, *_LONG) as running:
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)[1]

    assert running.returncode == 130, said
    events = _only(json.loads((tmp_path / "r.json").read_text()))["events"]
    assert events["expected"] == events["stored"] == events["received"]
    assert events["missing"] == 0
    assert not _slots(target)


def test_a_killed_coordinator_takes_its_observer_along_and_the_next_start_its_slot(
    run: Run, target: Target, tmp_path: Path
) -> None:
    with _started(tmp_path, *_LONG) as running:
        children = psutil.Process(running.pid).children(recursive=True)
        assert _slots(target)
        os.kill(running.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive

    code, _, said = run("single-flow", "--steps", 5, *ONCE)

    assert code == 0, said
    assert not _slots(target)
