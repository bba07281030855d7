"""`plan` for a point that is then measured: each of its figures inside its interval.

Costs are measured under plan's own loads; then an open load at the planned rate, which is a share of what a closed load
reached, on the same machine. Held against the plan: server and client cores, WAL, XIDs, growth, connections, how long a
task holds its run, events. Prints a line of JSON a figure; 1 where one lies outside.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _planted import tell, tool

from pgflow_stress.analysis.costs import cost, costs_of
from pgflow_stress.analysis.planning import Wish, figures
from pgflow_stress.core.result import from_json


def planned(target: str, seconds: float, repetitions: int, workers: int) -> Any:
    """The plan's document."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        command = [
            sys.executable, "-m", "pgflow_stress.cli.main", "plan", "--target", target, "--seconds", str(seconds),
            "--repetitions", str(repetitions), "--workers", str(workers), "--json", str(path),
        ]  # fmt: skip
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return json.loads(path.read_text())


def events_per_task(name: str, size: str, rate: float) -> float:
    """Stored events a completed task, of a short run of its own: who observes costs the server something."""
    code, document = tool(
        "run", name, "--steps", size, "--rate", rate, "-T", 2, "--events", "wal", "--repetitions", 1, "--warmup", 0
    )
    if code or document is None:
        raise SystemExit(f"the run that counts events ended with {code}: nothing is proven")
    (one,) = document["repetitions"]
    return float(sum(one["events"]["stored"].values()) / one["tasks"]["completed"])


def measured(document: Any, tasks_per_run: float, events: float, seconds: float) -> dict[str, float]:
    """The same figures, of what was measured: means over its repetitions, at the rate that each was offered."""
    result = from_json(document)
    found: dict[str, list[float]] = {}
    for one in (repetition for repetition in result.repetitions if repetition.counted):
        rate = one.phases["start"].count * tasks_per_run / seconds
        costs = {name: cost(name, [[value]]) for name, value in costs_of(one).items()}
        for figure in figures(Wish(rate / tasks_per_run, tasks_per_run, 0.0), costs):
            value = events * rate if figure.name == "events_per_second" else figure.value
            if value is not None:
                found.setdefault(figure.name, []).append(value)
    return {name: statistics.fmean(values) for name, values in found.items()}


def main() -> int:
    """Plan, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="chain(5)")
    parser.add_argument("--share", type=float, default=0.6, help="of what the pilot reached")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    name, _, size = given.scenario.rstrip(")").partition("(")
    how = ("--repetitions", given.repetitions, "--workers", given.workers)
    code, pilot = tool(
        "run", name, "--steps", size, "--in-flight", 16 * given.workers, "-T", given.seconds, *how, "--repetitions", 2
    )
    if code or pilot is None:
        raise SystemExit(f"the pilot ended with {code}: nothing is proven")
    tasks_per_run = pilot["repetitions"][0]["tasks"]["expected"] / pilot["repetitions"][0]["phases"]["start"]["count"]
    rate = round(given.share * pilot["summary"]["execute.per_second"]["mean"] / tasks_per_run, 1)
    plan = planned(f"{rate} runs/s of {given.scenario}", given.seconds, given.repetitions, given.workers)
    code, document = tool("run", name, "--steps", size, "--rate", rate, "-T", given.seconds, *how)
    if code or document is None:
        raise SystemExit(f"the measurement ended with {code}: nothing is proven")
    seen, held = measured(document, tasks_per_run, events_per_task(name, size, rate), given.seconds), True
    for figure, promised in plan["figures"].items():
        value, ends = seen.get(figure), promised["interval"]
        # A schedule of whole runs is off its rate by one of them.
        slack = 0.05 if promised["exact"] else 0.0
        inside = value is not None and ends is not None and ends[0] * (1 - slack) <= value <= ends[1] * (1 + slack)
        tell(
            figure=figure,
            unit=promised["unit"],
            planned=promised["value"],
            interval=ends,
            measured=value,
            inside=inside,
        )
        held = held and inside
    tell(proof="plan", target=plan["target"], held=held)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
