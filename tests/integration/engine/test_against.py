"""`compare --against` as it is typed, on the embedded server: every rival completes what ours does, counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.engine.rivals import RIVALS
from pgflow_stress.target.base import Target
from tests.fixtures.typed import environment
from tests.integration.target.helpers import databases

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main", "compare"]
SMALL = ["--steps", "40", "--warmup", "0", "--repetitions", "2"]
Against = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def against(target: Target, tmp_path: Path) -> Against:
    """`compare --against ARGS --json …`: (exit code, the document or None, standard error)."""

    def call(*arguments: str, **variables: str) -> tuple[int, Any, str]:
        path = tmp_path / "against.json"
        done = subprocess.run(
            [*PROGRAM, "--against", *arguments, "--json", str(path)],
            capture_output=True, text=True, env=environment(**variables), timeout=120, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, json.loads(path.read_text()) if path.exists() else None, done.stderr

    return call


def maintenance(target: Target) -> str:
    conninfo: str = target.conninfo("postgres")  # type: ignore[attr-defined]
    return conninfo


@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_completes_every_task_and_each_figure_has_its_interval(
    against: Against, target: Target, rival: str
) -> None:
    before = databases(maintenance(target))

    code, document, said = against(rival, *SMALL)

    assert code == 0, said
    assert document["schema"] == "pgflow-stress/against/1"
    assert document["tasks"] == {"expected": 40, "ours": [40, 40], "theirs": [40, 40]}
    assert document["figures"]
    for figure in document["figures"].values():
        low, high = figure["ci95"]
        assert 0 < low <= figure["ratio"] <= high
        assert figure["pairs"] == len(figure["ours"]["values"]) == len(figure["theirs"]["values"]) == 2
    assert "2 of 2 pairs with all 40 tasks completed" in said
    assert databases(maintenance(target)) == before


@pytest.mark.parametrize("mode", ["single", "pipeline"])
def test_pgbench_sends_each_mode_pinned_or_not(against: Against, mode: str) -> None:
    cpu = min(os.sched_getaffinity(0))

    code, document, said = against("pgbench", *SMALL, "--completion", mode, "--pin", f"worker={cpu},postgres={cpu}")

    assert code == 0, said
    assert document["tasks"]["theirs"] == [40, 40]
    assert document["scenario"]["parameters"]["completion"] == mode


def test_no_pgbench_is_one_line_and_3(target: Target) -> None:
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415  after the libpq is chosen

    before = databases(maintenance(target))
    # What wants TLS is not for the embedded server's own pgbench, and no other is on this PATH.
    dsn = make_conninfo(maintenance(target), sslmode="require")

    done = subprocess.run(
        [*PROGRAM, "--against", "pgbench", *SMALL, "--dsn", dsn, "--isolation", "fresh"],
        capture_output=True, text=True, env=environment(PATH="/nonexistent"), timeout=60,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert "there is no pgbench here: install it" in done.stderr
    assert "Traceback" not in done.stderr
    assert databases(maintenance(target)) == before


def test_an_interrupt_leaves_no_database(target: Target) -> None:
    before = databases(maintenance(target))
    process = subprocess.Popen(
        [*PROGRAM, "--against", "legacy", "--steps", "4000", "--warmup", "0"],
        stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert process.stderr is not None
    while "phase legacy" not in process.stderr.readline():
        assert process.poll() is None

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert databases(maintenance(target)) == before


@pytest.mark.parametrize(
    "arguments",
    [
        "nobody",
        "server concurrent-flows",
        "server a b",
        "server --interleave",
        "server --vary workers=1,2",
        "server --rate 5",
        "server --workers 2",
        "server --repetitions auto",
        "server --fail-on execute.per_second<-5%",
        "server --poll-size 10",
        "pgbench --steps 30",
        "legacy --json /nonexistent/x",
    ],
)
def test_what_a_rival_does_not_have_is_usage(arguments: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "--against", *arguments.split()], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
