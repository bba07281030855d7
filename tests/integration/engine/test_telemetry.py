"""`run --telemetry …` as it is typed: series of every role, a sampler that dies, a role that may not see."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pyarrow.parquet as pq
import pytest

from pgflow_stress.target.base import Target, TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.installing import install_into
from tests.integration.engine.conftest import Run
from tests.integration.target.helpers import quiet

COMMAND = [sys.executable, "-m", "pgflow_stress.cli.main", "run"]
ONCE = ("--repetitions", 1, "--warmup", 0)
SMALL = ("concurrent-flows", "--flows", 2, "--runs", 40, "--steps", 5)
LONGER = ("concurrent-flows", "--flows", 2, "--runs", 300, "--steps", 10, "--completion", "single")
ROOT = Path(__file__).resolve().parents[3]
SAMPLER = "pgflow-stress: sampler"
BALLOON_BYTES = 200 << 20


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k == "PGFLOW_STRESS_STATE" or not k.startswith("PGFLOW_STRESS_")}


def _only(document: Any) -> Any:
    return (document[0] if isinstance(document, list) else document)["repetitions"][0]


def test_full_telemetry_has_series_of_every_role_and_adds_up(target: Target, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, *map(str, (*SMALL, *ONCE)), "--workers", "2", "--rate", "60", "--duration", "4s", "--starters", "2",
         "--events", "wal", "--telemetry", "full", "--telemetry-interval", "0.2s", "--output", str(tmp_path / "o")],
        capture_output=True, text=True, env=_environment(), timeout=150, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    repetition = _only(json.loads((tmp_path / "o" / "result.json").read_text()))
    telemetry, server = repetition["telemetry"], repetition["server"]
    assert telemetry["complete"], telemetry["incomplete_because"]
    assert telemetry["ticks"] + telemetry["missed"] >= 19, "4 s by 0.2 s, and the readings at both ends"
    roles = {"coordinator", "nursery", "worker", "starter", "observer", "sampler", "postgres"}
    assert set(telemetry["processes"]) == roles
    assert all(one["rss_peak_bytes"] > 1 << 20 for one in telemetry["processes"].values())
    assert {one["rss_peak_since"] for one in telemetry["processes"].values()} == {"window"}
    assert telemetry["python"]["collector"]["worker"]["pauses"] == 0
    assert telemetry["python"]["coordinator"]["sleeps"] > 10
    assert telemetry["python"]["workers_in_loop_ns"] > 10**9
    assert telemetry["connections"]["max_connections"] == 200
    for shares in server["wait_events"].values():
        assert sum(shares.values()) == pytest.approx(1)
    assert {"worker", "starter"} <= set(server["wait_events"])
    # Two readings of one thing: the kernel's, by process, and the server's as a whole.
    tasks = repetition["tasks"]["completed"]
    assert telemetry["processes"]["postgres"]["cpu_ns"] == pytest.approx(server["cpu_ns_per_task"] * tasks, rel=0.35)
    assert server["deltas"]["wal"]["server"]["wal_records"] >= server["wal_records_per_task"] * tasks * 0.9
    assert server["deltas"]["tables"]["pgflow.step_tasks"]["n_tup_ins"] == tasks
    assert server["deltas_per_task"]["tables"]["pgflow.step_tasks"]["n_tup_ins"] == 1

    table = pq.read_table(tmp_path / "o" / "telemetry.parquet")
    columns = {name: table[name].to_pylist() for name in ("role", "subject", "metric", "value", "t_ns", "unit")}
    assert roles | {"host", "run"} <= set(columns["role"])
    series: dict[Any, list[float]] = {}
    for row in zip(*columns.values(), strict=True):
        series.setdefault(row[:3], []).append(row[3])
    assert all(values == sorted(values) for key, values in series.items() if key[2].endswith("_total"))
    assert series[("run", "process", "phase")] == [1, 0]
    assert any(key[0] == "postgres" and key[1].startswith("backend of worker") for key in series)
    assert ("postgres", "pgflow.runs", "updates_total") in series
    assert "used" in done.stderr
    assert "<h2>Resources, waits and locks</h2>" in (tmp_path / "o" / "report.html").read_text()


def test_a_sampler_that_is_killed_leaves_a_whole_run_and_says_so(target: Target, tmp_path: Path) -> None:
    out = tmp_path / "o"
    with subprocess.Popen(
        [*COMMAND, *map(str, (*LONGER, *ONCE)), "--telemetry-interval", "0.1s", "--output", str(out)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment(),
    ) as running:  # fmt: skip
        assert running.stderr is not None
        said = ""
        for line in running.stderr:
            said += line
            if line.startswith("phase process"):
                time.sleep(0.3)
                children = psutil.Process(running.pid).children(recursive=True)
                (sampler,) = [one for one in children if " ".join(one.cmdline()).strip() == SAMPLER]
                sampler.send_signal(signal.SIGKILL)
        assert running.wait(150) == 0, said

    repetition = _only(json.loads((out / "result.json").read_text()))
    assert repetition["tasks"]["completed"] == repetition["tasks"]["expected"] == 3000
    assert repetition["audit"]["ok"]
    assert not repetition["lost_worker"]
    telemetry = repetition["telemetry"]
    assert not telemetry["complete"]
    assert telemetry["incomplete_because"] == "the sampler was killed by signal 9"
    assert telemetry["processes"]["worker"]["rss_peak_bytes"] > 1 << 20, "what it had seen is kept"
    assert "incomplete in repetition 0: the sampler was killed by signal 9" in " ".join(said.split())
    assert "incomplete, the sampler was killed by signal 9" in (out / "report.html").read_text()


def test_what_a_worker_held_for_a_moment_is_in_its_peak(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    balloon_command = importlib.import_module("_balloon").balloon_command
    path, now = tmp_path / "r.json", tmp_path / "now"
    with subprocess.Popen(
        [*balloon_command(now, BALLOON_BYTES, 0.05), "run", *map(str, (*LONGER, *ONCE)), "--workers", "2",
         "--json", str(path)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment(),
    ) as running:  # fmt: skip
        assert running.stderr is not None
        said = ""
        for line in running.stderr:
            said += line
            if line.startswith("phase process"):
                now.touch()
        assert running.wait(150) == 0, said

    worker = _only(json.loads(path.read_text()))["telemetry"]["processes"]["worker"]
    assert worker["rss_peak_of"] == "worker 0"
    assert worker["rss_peak_since"] == "window"
    grown = 2 * worker["rss_peak_bytes"] - worker["rss_peak_total_bytes"]
    assert grown == pytest.approx(BALLOON_BYTES, rel=0.05), "more than the other worker, which is like it but for this"


def test_without_telemetry_there_is_no_sampler_and_nothing_of_it(run: Run) -> None:
    code, document, said = run(*SMALL, *ONCE, "--telemetry", "off")

    repetition = _only(document)
    assert code == 0, said
    assert repetition["telemetry"] == {}
    assert "wait_events" not in repetition["server"]
    assert repetition["server"]["cpu_ns_per_task"] > 0
    assert repetition["client"]["rss_peak_since"] == "window"


def test_the_cost_of_telemetry_is_measured_in_turns(run: Run) -> None:
    code, document, said = run(*SMALL, "--repetitions", 2, "--warmup", 0, "--telemetry-cost")

    whole = document[0] if isinstance(document, list) else document
    assert code == 0, said
    assert [bool(one["telemetry"].get("ticks")) for one in whole["repetitions"]] == [True, False, False, True]
    assert whole["summary"]["process.per_second"]["n"] == 2
    assert whole["outcome"]["telemetry_cost"]["process.per_second"]["n"] == 2
    assert "sampling costs" in said


@pytest.fixture
def unprivileged(target: Target) -> Iterator[str]:
    """A database with pgflow, and a role that owns it and may look at nothing else: its conninfo."""
    conninfo = target.conninfo("postgres")  # type: ignore[attr-defined]
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("create role onlooker login")
        connection.execute("create database shop")
    of_shop = conninfo.replace("dbname=postgres", "dbname=shop")
    options = TargetOptions(dsn=of_shop, dsn_typed=True)
    install_into(options, choose_target(options, {}), quiet)
    with psycopg.connect(of_shop, autocommit=True) as connection:
        for schema in ("pgflow", "pgmq", "realtime"):
            connection.execute(f"grant all on schema {schema} to onlooker".encode())
            connection.execute(f"grant all on all tables in schema {schema} to onlooker".encode())
            connection.execute(f"grant all on all sequences in schema {schema} to onlooker".encode())
            connection.execute(f"grant execute on all functions in schema {schema} to onlooker".encode())
    yield of_shop.replace("user=postgres", "user=onlooker")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("drop database shop with (force)")
        connection.execute("drop role onlooker")


def test_a_role_without_pg_monitor_runs_and_is_told_what_it_could_not_see(run: Run, unprivileged: str) -> None:
    code, document, said = run(*SMALL, *ONCE, "--telemetry", "full", "--dsn", unprivileged)

    assert code == 0, said
    telemetry = _only(document)["telemetry"]
    assert telemetry["complete"]
    assert any("pg_monitor" in line for line in telemetry["unseen"])
    assert telemetry["samples"]["worker"] > 0
    assert "not seen: activity: what other roles' backends do: needs pg_monitor" in " ".join(said.split())
