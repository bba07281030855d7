"""`plan` as it is typed: costs measured now or read from results, figures with what they rest on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.target.base import Target

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
Run = Callable[..., tuple[int, Any, str]]


def plan(path: Path, *arguments: object) -> tuple[int, Any, str]:
    """(exit code, the document or None, standard error)."""
    kept = ("PGFLOW_STRESS_STATE", "PGFLOW_STRESS_CACHE")
    environment = {k: v for k, v in os.environ.items() if k in kept or not k.startswith("PGFLOW_STRESS_")}
    done = subprocess.run(
        [*PROGRAM, "plan", *map(str, arguments), "--json", str(path)],
        capture_output=True, text=True, env=environment, timeout=150, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, json.loads(path.read_text()) if path.exists() else None, done.stderr


def test_costs_are_measured_under_two_loads_and_every_figure_says_what_it_rests_on(
    target: Target, tmp_path: Path
) -> None:
    how = ("--seconds", 1, "--repetitions", 2, "--warmup", 0, "--workers", 1)

    code, document, said = plan(tmp_path / "p", "--target", "1,000 runs/s of chain(3)", *how)

    assert code == 0, said
    assert document["schema"] == "pgflow-stress/plan/1"
    assert document["scenario"]["parameters"] == {"depth": 3}
    assert [one["load_model"] for one in document["rests_on"]] == ["closed", "closed"]
    figures = document["figures"]
    assert figures["tasks_per_second"]["value"] == 3000
    assert figures["events_per_second"]["value"] == 8000
    for name in ("server_cores", "client_cores", "wal_mb_per_second", "wal_gb_per_day", "xids_per_day"):
        low, high = figures[name]["interval"]
        assert 0 < low <= figures[name]["value"] <= high
    for one in figures.values():  # of what is sampled, a short window may have too little
        assert one["rests_on"] and (one["interval"] or one["reason"])
    assert [one["fits"] for one in document["realtime_quotas"]] == [False, False, False]
    assert "latency" not in json.dumps(figures)
    assert "No latency is told" in " ".join(said.split())


def test_costs_of_results_are_those_of_the_same_scenario_and_size(run: Run, tmp_path: Path) -> None:
    code, document, said = run("chain", "--steps", 2, "--runs", 20, "--repetitions", 2, "--warmup", 0)
    assert code == 0, said
    result = tmp_path / "result.json"
    result.write_text(json.dumps(document))

    code, planned, said = plan(tmp_path / "p", "--target", "2 tasks/s of chain(2)", result)
    assert code == 0, said
    wal = document["summary"]["server.wal_bytes_per_task"]["values"]
    low, high = (end * 1e6 / 2 for end in planned["figures"]["wal_mb_per_second"]["interval"])
    assert low <= min(wal) and max(wal) <= high
    assert planned["rests_on"][0]["label"] == str(result)

    for target, told in (("2 tasks/s of chain(3)", "depth 2"), ("2 tasks/s of fan(2)", "is of chain")):
        code, planned, said = plan(tmp_path / "q", "--target", target, result)
        assert (code, planned) == (2, None)
        assert told in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--target nonsense",
        "--target 5_runs/s",
        "--target 5",
        "--repetitions auto",
        "--seconds 0",
        "--rate 5",
        "/nonexistent/result.json",
    ],
)
def test_bad_usage_is_2_and_one_line(arguments: str, tmp_path: Path) -> None:
    given = arguments.split()
    if arguments and "--target" not in given:
        given += ["--target", "5 runs/s of chain(2)"]

    code, document, said = plan(tmp_path / "p", *given)

    assert (code, document) == (2, None)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "target", ["5 runs/s of no-such", "5 runs/s of chain(0)", "5 runs/s of chain(x)", "5 runs/s of chain(width=3)",
               "5 runs/s of definition", "5 runs/s of mix(3)"]
)  # fmt: skip
def test_a_target_that_no_scenario_has_is_2_and_one_line(target: str, tmp_path: Path) -> None:
    code, document, said = plan(tmp_path / "p", "--target", target)

    assert (code, document) == (2, None)
    assert said.count("\n") == 1
