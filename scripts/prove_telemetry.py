"""What telemetry costs and whether it is right; one line of JSON a proof.

cost        tasks/s with light telemetry ÷ without, in turns: median >= 0.99, the interval's lower end >= 0.97
cost-full   the same of full, written down
readings    CPU and memory of workers and server against psutil's own reading of the same processes: within 5 %
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pgflow_stress.analysis.paired_cost import pairs
from pgflow_stress.core.result import from_json

LOAD = "concurrent-flows --flows 8 --steps 100 --workers 2 --poll-size 100 --completion-batch-size 100"
COMMAND = [sys.executable, "-m", "pgflow_stress.cli.main", "run"]
LEAST_MEDIAN, LEAST_LOWER_END = 0.99, 0.97
WITHIN = 0.05
_RESAMPLES = 10_000


def _run(*arguments: str, watch: threading.Thread | None = None) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.json")
        if watch is not None:
            watch.start()
        subprocess.run([*COMMAND, *arguments, "--json", str(path)], stdin=subprocess.DEVNULL, check=True)
        document = json.loads(path.read_text())
    return document[0] if isinstance(document, list) else document


def cost(level: str, count: int, runs: int) -> dict[str, Any]:
    """Rates with and without, as ratios of neighbours; the median's 95 % interval by the bootstrap."""
    document = _run(
        *LOAD.split(), "--runs", str(runs), "--repetitions", str(count), "--warmup", "1",
        "--telemetry", level, "--telemetry-cost",
    )  # fmt: skip
    found = pairs(from_json(document).repetitions)
    ratios = np.array([a.phases["process"].per_second / b.phases["process"].per_second for a, b in found])  # type: ignore[operator]
    drawn = np.median(np.random.default_rng(1).choice(ratios, (_RESAMPLES, len(ratios))), axis=1)
    low, high = (float(end) for end in np.percentile(drawn, (2.5, 97.5)))
    median = float(np.median(ratios))
    return {
        "proof": f"cost of {level}",
        "median": median,
        "ci95": [low, high],
        "pairs": len(ratios),
        "held": level == "full" or (median >= LEAST_MEDIAN and low >= LEAST_LOWER_END),
    }


class _Reader(threading.Thread):
    """Looks at the run's processes with psutil until they have gone: the last CPU time and the most memory of each."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.cpu_seconds: dict[int, float] = {}
        self.rss_bytes: dict[int, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            for one in psutil.process_iter(["cmdline"]):
                title = " ".join(one.info["cmdline"] or ()).strip()
                if title.startswith("pgflow-stress: worker"):
                    try:
                        used = one.cpu_times()
                        self.cpu_seconds[one.pid] = used.user + used.system
                        self.rss_bytes[one.pid] = max(self.rss_bytes.get(one.pid, 0), one.memory_info().rss)
                    except psutil.Error:
                        continue


def readings(runs: int) -> dict[str, Any]:
    """A worker's memory by psutil, every 50 ms, to the kernel's peak that the result has."""
    reader = _Reader()
    document = _run(*LOAD.split(), "--runs", str(runs), "--repetitions", "1", "--warmup", "0", watch=reader)
    reader.over.set()
    reader.join()
    ours = document["repetitions"][0]["telemetry"]["processes"]["worker"]
    memory = ours["rss_peak_bytes"] / max(reader.rss_bytes.values())
    cpu = ours["cpu_ns"] / 1e9 / sum(reader.cpu_seconds.values())
    return {
        "proof": "readings",
        "rss_peak": memory,
        "cpu_to_psutil_whole_life": cpu,  # psutil's is of the whole life, priming too: at most 1
        "held": abs(memory - 1) <= WITHIN and cpu <= 1 + WITHIN,
    }


def main() -> int:
    """Run the proofs that were asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=["cost", "readings"])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--runs", type=int, default=100, help="of 100 steps each, a repetition")
    given = parser.parse_args()
    held = True
    for name in given.proofs:
        found = (
            readings(given.runs)
            if name == "readings"
            else cost("full" if name == "cost-full" else "light", given.pairs, given.runs)
        )
        print(json.dumps(found), flush=True)
        held = held and found["held"]
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
