"""What the live view costs: tasks a second under a terminal ÷ with --quiet, and the coordinator's cores, in turns.

Each side is the program as it is typed, its standard error on a pty of 80 columns that is read all the time; the server
is up before and after it, each repetition has a fresh database. Of the whole run only its process phase is compared.
"""

from __future__ import annotations

import functools
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pairs import Figure, arguments, bootstrap_median, embedded, interleave, report

STEPS = 10


def measured(quiet: bool, tasks: int, costs: list[float]) -> float:
    """Tasks a second of one run; the coordinator's cores are put into `costs`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "result.json")
        job = ["--steps", STEPS, "--flows", 10, "--runs", max(10, tasks // STEPS), "--repetitions", 1, "--warmup", 0]
        command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", "concurrent-flows", *map(str, job)]
        run_on_a_terminal([*command, "--json", str(path), *(["--quiet"] if quiet else [])])
        result = json.loads(path.read_text())
    (repetition,) = result["repetitions"]
    telemetry = repetition["telemetry"]
    costs.append(telemetry["processes"]["coordinator"]["cpu_ns"] / 1e9 / telemetry["seconds"])
    return float(repetition["phases"]["process"]["per_second"])


def run_on_a_terminal(command: list[str]) -> None:
    """Standard error is a terminal whose reader is never behind."""
    master, slave = pty.openpty()
    os.set_inheritable(slave, True)
    reader = threading.Thread(target=_drain, args=(master,))
    reader.start()
    try:
        environment = {**os.environ, "TERM": "xterm-256color"}
        subprocess.run(command, stdin=subprocess.DEVNULL, stderr=slave, env=environment, check=True)
    finally:
        os.close(slave)
        reader.join()
        os.close(master)


def _drain(master: int) -> None:
    try:
        while os.read(master, 65536):
            pass
    except OSError:  # the other end is closed
        return


def cores(sides: dict[str, list[float]]) -> dict[str, Any]:
    """How many cores more the coordinator used with the view, pair by pair."""
    more = np.array(sides["live"]) - np.array(sides["quiet"])
    low, high = bootstrap_median(more)
    return {
        "figure": "cores of the coordinator, live view - --quiet",
        "pairs": len(more),
        "difference": round(float(np.median(more)), 5),
        "ci95": [round(low, 5), round(high, 5)],
        "reach": "<= 0.01",
        "unit": "cores",
    }


def main() -> None:
    """Print both figures."""
    given = arguments(__doc__ or "", tasks=6000)
    costs: dict[str, list[float]] = {"live": [], "quiet": []}
    with embedded():
        live, quiet = (
            functools.partial(measured, quiet=name == "quiet", tasks=given.tasks, costs=costs[name]) for name in costs
        )
        sides: list[Callable[[], float]] = [live, quiet]
        a, b = interleave(given.pairs, sides[0], sides[1], "live view")
    report([Figure("tasks/s, live view / --quiet", "tasks/s", a, b, ">= 0.99, lower end >= 0.97")], given.output)
    line = json.dumps(cores(costs))
    print(line)
    if given.output is not None:
        with given.output.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
