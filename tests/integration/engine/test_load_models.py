"""Open and closed loads as they are typed: what is offered, what is started, what a start waited for."""

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

ONCE = ("--workers", 1, "--repetitions", 1, "--warmup", 0, "--flows", 2, "--steps", 3)


def _only(document: Any) -> Any:
    return (document[0] if isinstance(document, list) else document)["repetitions"][0]


def _model(document: Any) -> str:
    return str((document[0] if isinstance(document, list) else document)["load_model"])


@pytest.mark.parametrize("arrival", ["constant", "poisson"])
def test_an_open_load_starts_what_its_schedule_says(run: Run, arrival: str) -> None:
    code, document, said = run("concurrent-flows", *ONCE, "--rate", 40, "--duration", "2s", "--arrival", arrival)

    repetition = _only(document)
    schedule = repetition["client"]["schedule"]
    assert code == 0, said
    assert _model(document) == "open"
    assert schedule["started"] == repetition["phases"]["start"]["count"]
    assert repetition["tasks"]["completed"] == repetition["tasks"]["expected"] == 3 * schedule["started"]
    assert repetition["audit"]["ok"]
    assert schedule["skipped"] == 0
    # On a machine that is busy with other things the last of them may find no starter free in time.
    intended = schedule["started"] + schedule["not_started"]
    assert arrival == "poisson" or (intended == 80 and 39.9 < schedule["offered_per_second"] < 40.1)
    assert schedule["service_ns"]["count"] == schedule["started"]
    assert repetition["phases"]["execute"]["latency_ns"]["mean"] >= schedule["service_ns"]["mean"]
    assert repetition["phases"]["start"]["latency_ns"]["mean"] >= schedule["start_service_ns"]["mean"]


def test_stages_and_events_go_together(run: Run) -> None:
    code, document, said = run("concurrent-flows", *ONCE, "--stages", "1s:10,1s:30", "--events", "wal")

    repetition = _only(document)
    assert code == 0, said
    assert repetition["client"]["schedule"]["started"] == 40
    assert repetition["events"]["expected"] == repetition["events"]["received"]


def test_a_closed_load_keeps_a_number_of_runs_in_flight(run: Run, tmp_path: Path) -> None:
    code, document, said = run("concurrent-flows", *ONCE, "--in-flight", 3, "--duration", "2s")

    repetition = _only(document)
    assert code == 0, said
    assert _model(document) == "closed"
    started = repetition["client"]["schedule"]["started"]
    assert started > 10
    assert repetition["tasks"]["completed"] == 3 * started
    # Little: runs in flight = rate x time of one.
    mean = repetition["phases"]["execute"]["latency_ns"]["mean"] / 1e9
    in_flight = mean * repetition["phases"]["execute"]["count"] / 3 / repetition["phases"]["execute"]["seconds"]
    assert 1.5 < in_flight < 3.3


def test_runs_bound_a_closed_load_without_a_duration(run: Run) -> None:
    code, document, said = run("concurrent-flows", *ONCE, "--in-flight", 2, "--runs", 20)

    assert code == 0, said
    assert _only(document)["client"]["schedule"]["started"] == 20
    assert _only(document)["tasks"]["completed"] == 60


def test_a_stall_is_in_the_corrected_latency_and_not_in_the_other(run: Run, target: Target) -> None:
    """Half a second of a lock on pgflow.runs: what was due meanwhile waited for as long as it lasted from then on."""
    arguments = ("concurrent-flows", *ONCE, "--rate", 50, "--duration", "3s", "--starters", 1)
    command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments), "--json", "-"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    with running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("phase process"):
                break
        time.sleep(1.0)
        with psycopg.connect(target.conninfo("postgres"), autocommit=True) as server:  # type: ignore[attr-defined]
            (name,) = server.execute(
                "select datname from pg_stat_activity where application_name = 'pgflow-stress: starter 0'"
            ).fetchone() or ("",)
        with psycopg.connect(target.conninfo(name)) as locker:  # type: ignore[attr-defined]
            locker.execute("lock table pgflow.runs in exclusive mode")
            time.sleep(0.5)
        said, told = running.communicate(timeout=60)
    repetition = _only(json.loads(said))
    schedule = repetition["client"]["schedule"]
    assert running.returncode == 0, told
    assert repetition["phases"]["start"]["latency_ns"]["max"] > 0.4e9
    # One start waited in the server; those behind it waited for their starter, and say so.
    assert schedule["start_service_ns"]["max"] > 0.4e9
    assert schedule["lag_busy_ns"]["max"] > 0.3e9
    assert schedule["lag_busy_ns"]["count"] == 150
    assert schedule["lag_late_ns"]["p50"] < 0.01e9


def test_a_late_run_may_be_skipped_and_is_counted(run: Run) -> None:
    code, document, said = run(
        "concurrent-flows", *ONCE, "--rate", 5000, "--duration", "1s", "--starters", 1, "--late", "skip"
    )

    repetition = _only(document)
    schedule = repetition["client"]["schedule"]
    assert code == 0, said
    assert schedule["skipped"] > 0
    # Those due at the very end, to which the starter did not come, are neither.
    assert schedule["skipped"] + schedule["started"] + schedule["not_started"] == 5000
    assert repetition["tasks"]["completed"] == 3 * schedule["started"]


def test_an_interrupt_stops_starting_and_drains(target: Target, tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    arguments = ("concurrent-flows", *ONCE, "--rate", 20, "--duration", "60s", "--json", output)
    running = subprocess.Popen(
        [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments)],
        stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("phase process"):
                break
        children = psutil.Process(running.pid).children(recursive=True)
        assert any("starter" in child.cmdline()[0] for child in children)
        time.sleep(1)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=30)[1]
    assert running.returncode == 130, told
    assert time.monotonic() - began < 15
    repetition = _only(json.loads(output.read_text()))
    assert 5 < repetition["client"]["schedule"]["started"] < 100
    assert repetition["audit"]["ok"]
    assert not psutil.wait_procs(children, timeout=3)[1]


def test_a_killed_starter_fails_the_run_and_leaves_nothing(target: Target, tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    arguments = ("concurrent-flows", *ONCE, "--rate", 20, "--duration", "60s", "--json", output)
    running = subprocess.Popen(
        [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments)],
        stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("phase process"):
                break
        children = psutil.Process(running.pid).children(recursive=True)
        starter = next(child for child in children if "starter" in child.cmdline()[0])
        time.sleep(0.5)
        os.kill(starter.pid, signal.SIGKILL)
        told = running.communicate(timeout=30)[1]
    assert running.returncode == 1, told
    assert "starter" in told
    assert "Traceback" not in told
    assert not psutil.wait_procs(children, timeout=3)[1]
