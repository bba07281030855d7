"""Work in hand, and pgflow's own worker reproduced, on a real pgflow: each task is accounted for."""

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
import pytest

from tests.integration.engine.conftest import Run
from tests.integration.target.helpers import LATER_PGFLOW, needs_later_pgflow

ONCE = ("--workers", 2, "--repetitions", 1, "--warmup", 0)
EDGE = ("--worker-model", "edge-worker")


def _exact(document: Any) -> Any:
    """The only repetition, once its accounts are found exact."""
    (repetition,) = document["repetitions"]
    tasks = repetition["tasks"]
    assert repetition["audit"]["ok"]
    assert tasks["completed"] + tasks["failed"] + tasks["abandoned"] == tasks["expected"]
    return repetition


@pytest.mark.parametrize("completion", ["single", "pipeline", "batch"])
def test_work_in_hand_is_waited_for_and_accounted_for(run: Run, completion: str) -> None:
    code, document, said = run(
        "concurrent-flows", "--flows", 3, "--runs", 12, "--steps", 5, "--work", "20ms,s1=exponential(10ms)",
        "--concurrency", 7, "--completion", completion, "--events", "wal", *ONCE,
    )  # fmt: skip

    assert code == 0, said
    repetition = _exact(document)
    client, hops = repetition["client"], repetition["client"]["breakdown"]
    assert repetition["tasks"]["completed"] == 60
    assert repetition["events"]["missing"] == 0
    assert document["scenario"]["parameters"]["work"] == "20ms,s1=exponential(10ms)"
    assert document["scenario"]["parameters"]["concurrency"] == 7
    assert 5e6 < client["work_ns_per_task"] < 40e6
    assert hops["runs"] == 12
    assert hops["mean_ns"]["work"] > 10e6
    assert sum(hops["mean_ns"].values()) + hops["residual_ns"] == pytest.approx(hops["response_ns"])
    assert client["littles_law"]["in_hand_stamped"] > 1
    assert repetition["phases"]["process"]["latency_ns"]["count"] == 60
    assert "7 at once, work 20ms,s1=exponential(10ms)" in " ".join(said.split())


def test_failures_maps_and_mixes_work_like_any_other(run: Run) -> None:
    code, document, said = run(
        "retries", "map", "mix", "--runs", 10, "--flows", 2, "--failure-probability", 0.3, "--failing-runs", 0.2,
        "--base-delay", 0, "--elements", 3, "--weights", "chain:1,fan:1", "--work", "lognormal(2ms,1)", *ONCE,
    )  # fmt: skip

    assert code == 0, said
    for one in document:
        _exact(one)
    checks = {check["name"]: check for check in document[0]["repetitions"][0]["audit"]["checks"]}
    assert checks["runs fail as the seed decides"]["found"] > 0


def test_an_edge_worker_completes_tasks_one_by_one_and_fails_those_that_fail(run: Run) -> None:
    code, document, said = run(
        "concurrent-flows", "retries", "map", "--runs", 10, "--flows", 2, "--steps", 4, "--failure-probability", 0.3,
        "--failing-runs", 0.2, "--base-delay", 0, "--work", "3ms", "--events", "wal", *EDGE, *ONCE,
    )  # fmt: skip

    assert code == 0, said
    first = _exact(document[0])
    for one in document[1:]:
        _exact(one)
    parameters, client = document[0]["scenario"]["parameters"], first["client"]
    assert (parameters["worker_model"], parameters["max_pg_connections"]) == ("edge-worker", 4)
    assert first["tasks"]["completed"] == client["complete"]["latency_ns"]["count"] == 40
    assert client["breakdown"]["runs"] == 10
    assert client["breakdown"]["mean_ns"]["work"] > 3e6
    words = " ".join(said.split())
    assert "edge-workers, 10 at once over 4 connections" in words
    assert "pgflow's own worker reproduced" in words
    assert "--worker-model ceiling" in words


@needs_later_pgflow
def test_an_edge_worker_serves_a_later_pgflow_too(run: Run) -> None:
    code, document, said = run("chain", "--depth", 3, "--runs", 6, "--flows", 2, *EDGE, "--pgflow", LATER_PGFLOW, *ONCE)

    assert code == 0, said
    assert _exact(document)["tasks"]["completed"] == 18


def _until_it_works(path: Path, *job: object) -> subprocess.Popen[str]:
    """A run that is in its process phase, with work in hand."""
    command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, job), "--json", str(path)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("phase process"):
            break
    time.sleep(0.5)
    return running


@pytest.mark.parametrize("model", [(), EDGE])
@pytest.mark.usefixtures("target")
def test_a_worker_that_is_killed_with_work_in_hand_is_replaced(model: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    job = ("single-flow", "--steps", 120, "--work", "150ms", "--concurrency", 10, *model, *ONCE)
    with _until_it_works(path, *job) as running:
        children = psutil.Process(running.pid).children(recursive=True)
        os.kill(next(one.pid for one in children if "worker 1" in one.cmdline()[0]), signal.SIGKILL)
        told = running.communicate(timeout=60)[1]

    assert running.returncode == 0, told
    (repetition,) = json.loads(path.read_text())["repetitions"]
    assert repetition["audit"]["ok"]
    assert repetition["tasks"]["completed"] == 120
    assert {one["kind"] for one in repetition["incidents"]} == {"worker lost", "worker replaced"}


@pytest.mark.parametrize("model", [(), EDGE])
@pytest.mark.usefixtures("target")
def test_an_interrupt_waits_for_the_work_in_hand_and_takes_no_more(model: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    job = ("single-flow", "--steps", 400, "--work", "300ms", "--concurrency", 10, *model, *ONCE)
    with _until_it_works(path, *job) as running:
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=60)[1]

    assert running.returncode == 130, told
    (repetition,) = json.loads(path.read_text())["repetitions"]
    tasks = repetition["tasks"]
    assert repetition["audit"]["ok"]
    assert tasks["completed"] > 0
    assert tasks["unfinished"] > 0
    assert tasks["completed"] + tasks["unfinished"] == tasks["expected"] == 400
    assert tasks["indeterminate"] == 0
