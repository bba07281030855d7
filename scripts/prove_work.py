"""Simulated work costs the client next to nothing, and lasts as long as it should and no longer.

Each job of 1,000 tasks is run with work of 50 ms a task, 2 workers, concurrency 25, and without, in turns, `--times`
each (5). Held: the workers use at most 5 % of a core in the process phase; its seconds are at least those of the work
over 50 tasks at once, and at most 1.05 times (those and the seconds of the same job without work); audits hold.
Prints a line of JSON a run, then one a job.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

from _planted import tell, tool

WORKERS, CONCURRENCY, TASKS, WORK_SECONDS = 2, 25, 1000, 0.05
MOST_CORES, MOST_RATIO = 0.05, 1.05
LEAST_SECONDS = TASKS * WORK_SECONDS / (WORKERS * CONCURRENCY)
JOBS = {
    "one run": ("single-flow", "--steps", TASKS),
    "many runs": ("concurrent-flows", "--flows", 10, "--runs", 100, "--steps", 10),
    "edge-worker": (
        "concurrent-flows", "--flows", 2, "--runs", 100, "--steps", 10, "--worker-model", "edge-worker", "--poll-size",
        CONCURRENCY,
    ),
}  # fmt: skip
ONCE = ("--workers", WORKERS, "--repetitions", 1, "--warmup", 1)
WORK = ("--work", f"{WORK_SECONDS * 1000:g}ms", "--concurrency", CONCURRENCY)


def measure(job: str, *arguments: object) -> tuple[float, float]:
    """Seconds of the process phase of one run, and cores that the client used in it."""
    code, document = tool("run", *JOBS[job], *ONCE, *arguments)
    if code or document is None:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    repetition: dict[str, Any] = document["repetitions"][-1]
    client, process = repetition["client"], repetition["phases"]["process"]
    if not repetition["audit"]["ok"] or process["count"] != TASKS:
        raise SystemExit("an audit failed, or tasks are missing: nothing is proven")
    cores = client["utilization"] * WORKERS
    tell(job=job, work=bool(arguments), seconds=process["seconds"], worker_cores=cores, polls=client["polls"]["count"])
    return process["seconds"], cores


def main() -> int:
    """Run the proof; 1 where it did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    all_held = True
    for job in JOBS:
        rounds = [(measure(job), measure(job, *WORK)) for _ in range(given.times)]
        without = statistics.median(seconds for (seconds, _), _ in rounds)
        seconds = statistics.median(seconds for _, (seconds, _) in rounds)
        cores = statistics.median(cores for _, (_, cores) in rounds)
        ratio = seconds / (LEAST_SECONDS + without)
        held = cores <= MOST_CORES and seconds >= LEAST_SECONDS and ratio <= MOST_RATIO
        all_held = all_held and (held or job == "edge-worker")  # that one waits for whole batches, by design
        tell(
            proof="work", job=job, seconds=seconds, least_seconds=LEAST_SECONDS, without_work_seconds=without,
            ratio=ratio, worker_cores=cores, held=held,
        )  # fmt: skip
    return 0 if all_held else 1


if __name__ == "__main__":
    sys.exit(main())
