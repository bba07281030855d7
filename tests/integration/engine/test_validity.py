"""What the validity rules read is read from a real run: the series, the host's CPU, the server's own work inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from pgflow_stress.target.base import Target
from tests.integration.engine.conftest import Run

COMMAND = [sys.executable, "-m", "pgflow_stress.cli.main", "run"]
ONCE = ("--workers", 2, "--repetitions", 1, "--warmup", 0)
SMALL = ("concurrent-flows", "--flows", 2, "--runs", 60, "--steps", 10)
LONGER = ("concurrent-flows", "--flows", 2, "--runs", 400, "--steps", 10, "--completion", "single")


OTHER_LIMITS = ("--limit", "min_phase_seconds=0.01", "--limit", "min_cycles_per_worker=1")


@pytest.mark.parametrize(
    ("scenario", "least_seconds"),
    [((*SMALL, *OTHER_LIMITS), 0.01), (("single-flow", "--steps", 300, "--completion", "single"), 10)],
)
def test_a_run_has_its_series_its_limits_and_a_server_that_was_left_alone(
    run: Run, scenario: tuple[object, ...], least_seconds: float
) -> None:
    code, document, said = run(*scenario, *ONCE)

    repetition = document["repetitions"][0]
    series, server, process = repetition["client"]["series"], repetition["server"], repetition["phases"]["process"]
    assert code == 0, said
    assert series["complete"]
    assert sum(series["completed"]) == process["count"]
    assert series["bin_seconds"] * len(series["completed"]) == pytest.approx(process["seconds"])
    assert series["first_idle_seconds"] is None or 0 < series["first_idle_seconds"] < process["seconds"]
    assert (server["checkpoints"], server["autovacuums"], server["autoanalyzes"]) == (0, {}, {})
    assert set(repetition["client"]["host"]) == {"busy_share", "steal_share"}
    limits = document["scenario"]["parameters"]["limits"]
    assert (limits["min_phase_seconds"], limits["max_checkpoints"]) == (least_seconds, 0)
    reasons = document["verdict"]["reasons"]
    assert not [reason for reason in reasons if "inside the window" in reason]
    assert bool([reason for reason in reasons if "too short" in reason]) == (least_seconds == 10)


def test_a_checkpoint_inside_the_window_is_told(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    environment = {k: v for k, v in os.environ.items() if k == "PGFLOW_STRESS_STATE" or not k.startswith("PGFLOW_")}
    arguments = [*map(str, (*LONGER, *ONCE)), "--json", str(path)]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stderr is not None
        said = ""
        for line in running.stderr:
            said += line
            if line.startswith("phase process"):
                with psycopg.connect(target.conninfo("postgres"), autocommit=True) as connection:  # type: ignore[attr-defined]
                    connection.execute("checkpoint")
        assert running.wait(150) == 0, said

    document = json.loads(path.read_text())
    assert document["repetitions"][0]["server"]["checkpoints"] == 1
    assert "checkpoint inside the window: 1 (repetition 0)" in document["verdict"]["reasons"]
    assert not document["verdict"]["metrics"]["process.per_second"]["valid"]


def test_upkeep_of_tables_inside_the_window_is_told_by_table(run: Run) -> None:
    settings = {
        "autovacuum": "on", "autovacuum_naptime": "1s", "autovacuum_analyze_threshold": 50,
        "autovacuum_analyze_scale_factor": 0, "autovacuum_vacuum_threshold": 50, "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_insert_threshold": 50, "autovacuum_vacuum_insert_scale_factor": 0,
    }  # fmt: skip
    given = [part for name, value in settings.items() for part in ("--pg-setting", f"{name}={value}")]

    code, document, said = run(*LONGER, *ONCE, *given)

    server = document["repetitions"][0]["server"]
    reasons = document["verdict"]["reasons"]
    assert code == 0, said
    assert server["autovacuums"] or server["autoanalyzes"]
    for what in ("autovacuum", "autoanalyze"):
        told = [reason for reason in reasons if reason.startswith(f"{what} inside the window: ")]
        assert len(told) == bool(server[f"{what}s"])


def test_a_full_run_says_how_long_first_and_lasts_as_long_as_the_rules_ask(run: Run) -> None:
    code, document, said = run(
        *SMALL, *ONCE, "--full", "--limit", "min_phase_seconds=1.5", "--limit", "min_cycles_per_worker=20"
    )

    lines = said.splitlines()
    told = next(place for place, line in enumerate(lines) if line.startswith("full: about "))
    parameters = document["scenario"]["parameters"]
    assert code == 0, said
    assert lines.index("phase process concurrent-flows 1") < told
    assert "phase process concurrent-flows 0" in lines[told:]
    assert parameters["runs"] > 60
    assert parameters["pilot"]["tasks"] == 600
    assert parameters["pilot"]["discarded"]
    assert len(document["repetitions"]) == 1
    assert document["repetitions"][0]["tasks"]["expected"] == parameters["runs"] * 10
    assert document["repetitions"][0]["audit"]["ok"]
