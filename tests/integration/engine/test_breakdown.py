"""A flow with a fan-in under an open load, as the tool measures it: its hops add up to its response time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DIAMOND = "a b:a c:a d:b,c"
ONCE = "--flows 1 --workers 1 --repetitions 1 --warmup 0 --rate 20 --duration 2s --events wal"


@pytest.mark.usefixtures("target")
def test_the_hops_of_a_fan_in_add_up_to_its_response_time(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    job = ["dag", "--dag", DIAMOND, *ONCE.split(), "--json", str(path)]
    command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *job]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr

    document = json.loads(path.read_text())
    (repetition,) = document["repetitions"]
    found, execute = repetition["client"]["breakdown"], repetition["phases"]["execute"]["latency_ns"]
    started = repetition["client"]["schedule"]["started"]
    assert found["runs"] + sum(found["left_out"].values()) == found["completed_runs"] == execute["count"] == started
    assert found["runs"] >= 0.75 * started > 0
    assert found["residual_share"] < 0.02
    assert sum(found["mean_ns"].values()) + found["residual_ns"] == pytest.approx(found["response_ns"])
    if found["runs"] == started:
        assert found["response_ns"] == pytest.approx(execute["mean"])
    first, middle, last = found["by_position"]
    assert (first["step"], last["step"]) == ("a", "d")
    assert middle["step"] in ("b", "c", None)
    assert min(min(place["mean_ns"][hop] for hop in ("claim", "work", "completion")) for place in (first, last)) > 0
    assert found["delivery"]["runs"] == found["runs"]
    assert document["summary"]["breakdown.claim_ns.mean"]["mean"] == pytest.approx(found["mean_ns"]["claim"])
    assert "where it went" in done.stderr
