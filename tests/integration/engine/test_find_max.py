"""`find-max` as it is typed, on a real server: a small search with its path, and one broken off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pgflow_stress.target.base import Target
from tests.fixtures.typed import environment

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main", "find-max", "concurrent-flows"]
SMALL = ["--flows", "2", "--steps", "1", "--workers", "1", "--start-rate", "20", "--duration", "1s"]


def find_max(out: Path, *arguments: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        [*PROGRAM, *SMALL, *arguments, "--output", str(out), "--json", "-"],
        capture_output=True, text=True, env=environment(), timeout=150, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_a_search_leaves_its_answer_its_path_and_each_windows_result(target: Target, tmp_path: Path) -> None:
    limits = ("-L", "start.latency_ns.p50<10s", "-L", "execute.latency_ns.p50<10s")
    code, document, said = find_max(tmp_path / "out", *limits, "--max-rate", "20", "--max-growth", "99%", "--strict")

    assert code == 5, said  # it holds at the highest rate allowed, so what is above is not known
    assert "find-max: at most 15 min" in said.splitlines()[0]
    assert "20.0 runs/s (20.0 tasks/s), held in 3 of 3 windows; cannot tell what is above" in " ".join(said.split())
    assert document == json.loads((tmp_path / "out/find-max.json").read_text())
    assert document["schema"] == "pgflow-stress/find-max/1"
    assert document["answer"]["per_second"] == 20
    assert document["answer"]["ended"] == "holds at the highest rate allowed"
    assert document["outcome"]["exit_code"] == 5
    assert document["scenario"]["parameters"]["purpose"] == "capacity"
    assert document["environment"]["postgres"]
    path = document["path"]
    assert [window["phase"] for window in path] == ["doubling", "confirm", "confirm", "confirm"]
    assert {window["outcome"] for window in path} == {"held"}
    assert len({window["seed"] for window in path}) == 4
    index = json.loads((tmp_path / "out/index.json").read_text())["results"]
    assert [entry["path"] for entry in index] == [window["folder"] for window in path]
    for window in path:
        result = json.loads((tmp_path / "out" / window["folder"] / "result.json").read_text())
        (repetition,) = result["repetitions"]
        assert result["load_model"] == "open"
        assert repetition["client"]["schedule"]["started"] == window["runs"]
        assert window["latencies_ns"]["start.latency_ns.p50"] == repetition["phases"]["start"]["latency_ns"]["p50"]
        assert len(repetition["client"]["schedule"]["backlog"]["mean"]) == 100
        assert repetition["audit"]["ok"]


def test_an_interrupt_keeps_the_path_so_far(target: Target, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [*PROGRAM, *SMALL, "-L", "start.latency_ns.p50<10s", "--output", str(out)]
    windows = 0
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        for line in process.stderr:
            windows += line.startswith("phase process")
            if windows == 2:
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
        assert process.wait(60) == 130, said

    document = json.loads((out / "find-max.json").read_text())
    assert document["outcome"]["exit_code"] == 130
    assert document["answer"]["ended"] is None
    assert len(document["path"]) == 2
    assert document["path"][0]["outcome"] in ("held", "cannot tell")
    assert (document["path"][1]["outcome"], document["path"][1]["reasons"]) == ("invalid", ["interrupted"])
