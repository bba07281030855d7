"""`compare --interleave` as it is typed, on a real server: two sides in turns, both audited, one comparison."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.target.base import Target
from tests.fixtures.typed import environment
from tests.integration.target.helpers import LATER_PGFLOW, needs_later_pgflow

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main", "compare", "--interleave"]
SMALL = ["concurrent-flows", "--flows", "2", "--runs", "6", "--steps", "5", "--workers", "1"]
COUNTERS = ("wal_records_per_task", "wal_fpi_per_task", "xids_per_task", "rows_per_task", "buffers_per_task")


@dataclass(frozen=True)
class Ended:
    """What a call left behind."""

    code: int
    said: str
    sides: list[Any]  # result documents, base first
    comparison: Any  # the document


Compare = Callable[..., Ended]


def left_in(folder: Path) -> list[Any]:
    index = json.loads((folder / "index.json").read_text())
    return [json.loads((folder / entry["path"] / "result.json").read_text()) for entry in index["results"]]


@pytest.fixture(scope="module")
def compare(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Compare:
    """`compare --interleave ARGS`, on the server that the module's target keeps up."""

    def call(*arguments: object) -> Ended:
        out = tmp_path_factory.mktemp("compare") / "out"
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments), "--output", str(out), "--json", "-"],
            capture_output=True, text=True, env=environment(), timeout=170, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if not done.stdout:
            return Ended(done.returncode, done.stderr, [], None)
        assert json.loads(done.stdout) == json.loads((out / "comparison.json").read_text())
        assert (out / "comparison.html").read_text().startswith("<!doctype html>")
        return Ended(done.returncode, done.stderr, left_in(out), json.loads(done.stdout))

    return call


def indexes(side: Any) -> list[int]:
    return [repetition["index"] for repetition in side["repetitions"]]


def counters(side: Any, name: str) -> list[float]:
    return [float(r["server"][name]) for r in side["repetitions"] if not r["warmup"]]


def test_one_version_against_itself_is_one_session_of_pairs_whose_work_is_counted_and_the_same(
    compare: Compare,
) -> None:
    ended = compare("--vary", "pgflow=0.8.1,0.8.1", *SMALL, "--repetitions", 5)

    assert ended.code == 0, ended.said
    base, candidate = ended.sides
    assert base["environment"]["session"] == candidate["environment"]["session"]
    assert indexes(base) == indexes(candidate) == list(range(6))
    assert all(r["audit"]["ok"] and r["tasks"]["completed"] == 30 for side in ended.sides for r in side["repetitions"])
    (one,) = ended.comparison["comparisons"]
    assert one["paired"]
    assert (one["base"]["label"], one["candidate"]["label"]) == ("pgflow=0.8.1", "pgflow=0.8.1")
    assert "parameters.pgflow" not in [found["name"] for found in one["differences"]]
    for name in COUNTERS:
        assert all(value > 0 for side in ended.sides for value in counters(side, name)), name
    (rows,) = {value for side in ended.sides for value in counters(side, "rows_per_task")}
    assert rows > 4
    verdicts = {metric["name"]: metric["verdict"] for metric in one["metrics"]}
    assert {verdicts[f"server.{name}"] for name in COUNTERS} <= {"equivalent", "no difference shown"}


def test_an_option_is_varied_and_told_as_a_difference(compare: Compare) -> None:
    ended = compare("--vary", "completion=single,batch", *SMALL, "--repetitions", 2, "--warmup", 0)

    assert ended.code == 0, ended.said
    base, candidate = ended.sides
    assert [s["scenario"]["parameters"]["completion"] for s in ended.sides] == ["single", "batch"]
    statements = [s["summary"]["client.statements_per_task"]["mean"] for s in ended.sides]
    assert statements[0] > statements[1] > 0
    assert indexes(base) == indexes(candidate) == [0, 1]
    assert ended.comparison["comparisons"][0]["verdict"] == "cannot tell"  # of two pairs
    assert {"name": "parameters.completion", "base": "single", "candidate": "batch"} in (
        ended.comparison["comparisons"][0]["differences"]
    )


@needs_later_pgflow
def test_two_versions_are_both_audited_and_their_events_exact(compare: Compare) -> None:
    ended = compare(
        "--vary", f"pgflow=0.8.1,{LATER_PGFLOW}", *SMALL, "--repetitions", 1, "--warmup", 0, "--events", "wal"
    )

    assert ended.code == 0, ended.said
    for side in ended.sides:
        (repetition,) = side["repetitions"]
        events = repetition["events"]
        assert repetition["audit"]["ok"]
        assert repetition["tasks"]["completed"] == 30
        assert events["received"] == events["stored"]
        assert (events["missing"], events["duplicate"], events["unexpected"]) == (0, 0, 0)
    versions = [side["environment"]["pgflow"] for side in ended.sides]
    assert versions[0] != versions[1]


def test_a_setting_of_the_server_is_varied_by_a_server_each(compare: Compare) -> None:
    ended = compare("--vary", "pg-setting.synchronous_commit=on,off", *SMALL, "--repetitions", 1, "--warmup", 0)

    assert ended.code == 0, ended.said
    assert [side["environment"]["settings"]["synchronous_commit"] for side in ended.sides] == ["on", "off"]


def test_a_gate_of_the_runs_comes_before_one_of_the_comparison_and_both_are_told(compare: Compare) -> None:
    ended = compare("--vary", "timeout=600,0.001", *SMALL, "--repetitions", 1, "--warmup", 0, "--strict")

    assert ended.code == 124, ended.said
    assert ended.comparison is None or {5, 124} <= set(ended.comparison["outcome"]["codes"])


def test_an_interrupt_keeps_what_was_measured(target: Target, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [*PROGRAM, "--vary", "workers=1,2", *SMALL[:-2], "--repetitions", "50", "--output", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("phase process concurrent-flows 2"):
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
        assert process.wait(60) == 130, said

    sides = left_in(out)
    assert len(sides) == 2
    assert all(len(side["repetitions"]) >= 2 for side in sides)
    assert json.loads((out / "comparison.json").read_text())["outcome"]["exit_code"] == 130


def test_with_json_alone_no_directory_is_written(target: Target, tmp_path: Path) -> None:
    command = [*PROGRAM, "--vary", "workers=1,2", *SMALL[:-2], "--repetitions", "1", "--warmup", "0", "--quiet"]

    done = subprocess.run(
        [*command, "--json", "c.json"], capture_output=True, text=True, env=environment(), cwd=tmp_path, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
    assert json.loads((tmp_path / "c.json").read_text())["schema"] == "pgflow-stress/comparison/1"
