"""`sweep` as it is typed, on a real server: killed and gone on with, and failing cells that are outcomes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.typed import environment

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main", "sweep"]
SMALL = ["concurrent-flows", "--flows", "2", "--runs", "4", "--steps", "3", "--workers", "1", "--warmup", "0"]


def sweep(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True, text=True, env=environment(), timeout=170, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def measured(folder: Path) -> list[tuple[Any, ...]]:
    """(stage, cell, round) of every repetition that the journal has."""
    lines = (folder / "sweep.journal").read_text().splitlines()[1:]
    return [(entry["stage"], entry["cell"], entry["round"]) for entry in map(json.loads, lines)]


def test_a_sweep_that_is_killed_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    asked = [*SMALL, "--vary", "poll-size=1,5", "-r", "3", "--confirm", "1", "--output", out]

    with subprocess.Popen(
        [*PROGRAM, *map(str, asked)], env=environment(), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as first:
        while not (out / "sweep.journal").exists() or len(measured(out)) < 2:
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
    before = measured(out)
    refused = sweep(*asked, "--resume", "--seed", "2")
    other = [*SMALL, "--vary", "poll-size=1,7", "-r", "3", "--confirm", "1", "--output", out]
    another = sweep(*other, "--resume")
    done = sweep(*asked, "--resume")

    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "another sweep: its seed" in refused.stderr
    assert (another.returncode, another.stderr.count("\n")) == (2, 1)
    assert "another sweep: its axes" in another.stderr
    assert done.returncode == 0, done.stderr
    after = measured(out)
    assert after[: len(before)] == before
    assert sorted(key for key in after if key[0] == "grid") == [("grid", cell, r) for cell in (0, 1) for r in range(3)]
    document = json.loads((out / "sweep.json").read_text())
    assert [cell["summary"]["execute.per_second"]["n"] for cell in document["cells"]] == [3, 3]
    index = json.loads((out / "index.json").read_text())
    assert len(index["results"]) == 2
    assert "Sweep over" in (out / "report.html").read_text()
    assert all((out / entry["path"] / "result.json").exists() for entry in index["results"])


def test_a_cell_that_fails_is_an_outcome_and_the_others_are_measured(tmp_path: Path) -> None:
    script = tmp_path / "apply"
    script.write_text('#!/bin/sh\n[ "$PGFLOW_STRESS_APPLY_WORK_MEM" != 8MB ] || { echo no room >&2; exit 7; }\n')
    script.chmod(0o755)
    asked = [*SMALL, "-r", "1", "--confirm", "0", "--apply-command", script, "--json", "-"]

    done = sweep(*asked, "--vary", "apply.work_mem=4MB,8MB,16MB")

    assert done.returncode == 0, done.stderr
    took, refused, not_taken = json.loads(done.stdout)["cells"]
    assert took["codes"] == []
    assert (refused["codes"], refused["reasons"]) == ([3], ["--apply-command ended with 7: no room"])
    assert not_taken["codes"] == [3]
    assert "work_mem is 4096kB, and 16MB was asked for" in not_taken["reasons"][0]


def test_a_history_is_made_once_for_a_cell_and_its_size_of_0_is_a_cell_too() -> None:
    done = sweep(*SMALL, "-r", "2", "--confirm", "0", "--vary", "history=0,20,40", "--json", "-")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("aging the database") == 2
    cells = json.loads(done.stdout)["cells"]
    assert [(cell["codes"], cell["summary"]["execute.per_second"]["n"]) for cell in cells] == [([], 2)] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--vary", "nothing=1,2"],
        ["--vary", "workers=1,2", "--resume"],
        ["--metric", "no.such", "--vary", "poll-size=1,2"],
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [*PROGRAM, "single-flow", *arguments],
        capture_output=True, text=True, env=environment(), cwd=tmp_path, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.startswith("pgflow-stress: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
