"""Interference as it is typed: each kind takes hold by its proof, a bystander feels it, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.installing import install_into
from tests.integration.engine.conftest import Run
from tests.integration.target.helpers import plain_server, quiet, rows, until, value

LOAD = ("concurrent-flows", "--flows", 2, "--steps", 3, "--workers", 2, "--repetitions", 1, "--warmup", 0)
LATENCIES = ("p50", "p90", "max")


def _kinds(repetition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    kinds = repetition["interference"]["kinds"]
    assert [kind["why"] for kind in kinds if not kind["took_hold"]] == []
    return {kind["name"]: kind for kind in kinds}


def test_every_kind_is_shown_to_take_hold_and_a_bystander_is_timed_before_during_and_after(run: Run) -> None:
    asked = ("held-xmin", "checkpoints", "cpu:2", "idle-connections:30", "bloat", "history:300")
    code, document, said = run(
        *LOAD, "--rate", 40, "--duration", "3s", *(part for kind in asked for part in ("--interference", kind))
    )

    assert code == 0, said
    (repetition,) = document["repetitions"]
    found = _kinds(repetition)
    proofs = {name: kind["proof"] for name, kind in found.items()}
    assert set(found) == {"bystander", *(kind.partition(":")[0] for kind in asked)}
    assert proofs["held-xmin"]["age_at_the_end_transactions"] > 100  # each task is some transactions
    assert proofs["held-xmin"]["oldest_of_the_server"]
    assert proofs["checkpoints"]["checkpoints"] >= 1
    assert proofs["checkpoints"]["requested_by_the_servers_count"] >= proofs["checkpoints"]["checkpoints"]
    assert proofs["cpu"]["cores"] > 0
    assert proofs["idle-connections"]["idle_at_the_end"] == 30
    assert proofs["bloat"]["rows_dead_at_the_end"] >= 10_000
    assert proofs["bloat"]["grown_bytes"] > 1_000_000
    assert proofs["history"]["finished_tasks_of_others"] >= 300
    assert found["idle-connections"]["recovery"]["gone_seconds"] is not None
    assert found["bloat"]["recovery"]["vacuum_seconds"] > 0
    assert all(kind["from_ns"] < 0 < kind["to_ns"] for name, kind in found.items() if name != "history")
    spans = repetition["interference"]["bystander"]["spans"]
    assert list(spans) == ["before", "held", "during", "after"]
    for span in spans.values():
        assert span["updates"] > 0
        assert span["failed"] == 0
        assert all(span["service_ns"][leaf] > 0 for leaf in LATENCIES if span["service_ns"][leaf] is not None)
    assert repetition["audit"]["ok"]
    assert document["scenario"]["parameters"]["interference"] == list(asked)
    assert any("interfered with on purpose" in note for note in document["verdict"]["notes"])
    assert not any("checkpoint inside" in reason for reason in document["verdict"]["reasons"])


def test_an_interference_with_a_time_of_its_own_is_seen_before_with_and_since(run: Run) -> None:
    code, document, said = run(
        *LOAD, "--rate", 60, "--duration", "3s", "--interference", "held-xmin@1s:1s", "--interference", "cpu:1@1s:1s"
    )

    assert code == 0, said
    (repetition,) = document["repetitions"]
    found = _kinds(repetition)
    for name in ("held-xmin", "cpu"):
        kind = found[name]
        assert 0 < kind["from_ns"] < kind["to_ns"]
        assert set(kind["tasks_per_second"]) == {"before", "with", "since"}
        assert all(rate > 0 for rate in kind["tasks_per_second"].values())
    assert found["held-xmin"]["recovery"]["horizon_moved_seconds"] is not None
    spans = repetition["interference"]["bystander"]["spans"]
    assert {"with held-xmin", "since held-xmin"} <= set(spans)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_coordinator_that_is_killed_or_interrupted_takes_all_of_it_along(state: Path, number: signal.Signals) -> None:
    arguments = (*LOAD, "--rate", 20, "--duration", "60s", "--interference", "cpu:2", "--interference", "held-xmin")
    process = subprocess.Popen(
        [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments), "--json", os.devnull],
        env={**os.environ, "PGFLOW_STRESS_STATE": str(state)}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert any(line.startswith("phase process") for line in process.stderr)
    there = [one for one in psutil.Process(process.pid).children(recursive=True) if "interference" in _title(one)]
    titles = sorted(_title(one).rpartition(" ")[2] for one in there)

    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode == (-number if number is signal.SIGKILL else 130)
    assert titles == ["bystander", "cpu", "held-xmin"]
    assert until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in there))


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


@pytest.fixture(scope="module")
def shop() -> Any:
    """A database of somebody's, with pgflow: (conninfo of its server, its own)."""
    with plain_server() as server:
        name = f"shop_{uuid.uuid4().hex[:8]}"
        rows(server, f"CREATE DATABASE {name}")
        dsn = server.replace("dbname=postgres", f"dbname={name}")
        typed = TargetOptions(dsn=dsn, dsn_typed=True)
        install_into(typed, choose_target(typed, {}), quiet)
        yield server, dsn


def test_a_database_of_somebody_elses_has_nothing_left_of_it(run: Run, shop: tuple[str, str]) -> None:
    _, dsn = shop
    code, document, said = run(
        *LOAD, "--runs", 40, "--dsn", dsn, "--interference", "bloat", "--interference", "bystander"
    )

    assert code == 0, said
    found = _kinds(document["repetitions"][0])
    assert found["bloat"]["recovery"] == {"left_to_autovacuum": True}
    assert value(dsn, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pgflow\\_stress\\_%%'") == 0
    assert value(dsn, "SELECT count(*) FROM pgflow.flows") == 0


def test_a_right_that_is_missing_or_a_server_that_is_too_small_is_told_before_anything_is_made(
    run: Run, shop: tuple[str, str]
) -> None:
    server, dsn = shop
    rows(server, "CREATE ROLE clerk LOGIN CREATEDB")
    as_clerk = dsn.replace("user=postgres", "user=clerk")

    denied = run(*LOAD, "--dsn", as_clerk, "--isolation", "clone", "--interference", "checkpoints")
    small = run(*LOAD, "--dsn", dsn, "--isolation", "clone", "--interference", "idle-connections:5000")

    assert denied[0] == small[0] == 3
    assert "GRANT pg_checkpoint TO clerk" in denied[2]
    assert "raise max_connections" in small[2]
    assert [name for (name,) in rows(server, "SELECT datname FROM pg_database") if "pgflow_stress" in name] == []
