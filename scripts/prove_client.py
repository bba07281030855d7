"""A client that is slow on purpose is told from a quiet one, each time.

    spin       each task costs the worker 2 ms of CPU time
    neighbour  niced workers share a core with two busy processes, the server has another
    quiet      nothing planted

Of the slow runs every rate of tasks must be marked client-bound, of the quiet ones none; all their audits hold.
Prints a line of JSON a run, then one over all. `--times N` of each in all (30), half of the slow ones of each kind.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from _planted import tell, tool

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

from pgflow_stress.analysis.limiting import CLIENT_BOUND  # noqa: E402
from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402

JOB = "concurrent-flows --flows 2 --runs 30 --steps 10 --workers 2 --repetitions 1 --warmup 0"
SPIN = ("--client-delay", "2000")
NEIGHBOURS = 2
NICED = ("nice", "-n", "19")


@contextlib.contextmanager
def neighbours(cpu: int) -> Iterator[None]:
    """Busy processes on one CPU."""
    busy = f"import os\nos.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    running = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(NEIGHBOURS)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def measure(kind: str, number: int, *arguments: str, prefix: Sequence[str] = ()) -> bool:
    """One run; whether its rate of tasks is marked."""
    code, document = tool("run", *JOB.split(), *arguments, "--seed", number, prefix=prefix)
    if code or document is None:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    (repetition,) = document["repetitions"]
    if not repetition["audit"]["ok"]:
        raise SystemExit("an audit failed: nothing is proven")
    reasons = [one for one in document["verdict"]["metrics"]["process.per_second"]["reasons"] if CLIENT_BOUND in one]
    tell(kind=kind, number=number, marked=bool(reasons), reasons=reasons, **_evidence(repetition))
    return bool(reasons)


def _evidence(repetition: dict[str, Any]) -> dict[str, Any]:
    client = repetition["client"]
    shares = {name: client[name] for name in ("server_waited_share", "run_queue_share", "utilization")}
    shares |= {"busy_share": client["host"]["busy_share"], "per_second": repetition["phases"]["process"]["per_second"]}
    return {name: value if value is None else round(value, 4) for name, value in shares.items()}


def main() -> int:
    """Run the proof; 1 where it did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=30)
    given = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise SystemExit("a worker's neighbour and the server need a CPU each: nothing is proven on one")
    pinned = ("--pin", f"worker={cpus[0]},postgres={cpus[1]}", "--completion", "single")
    half = given.times // 2
    slow = quiet = 0
    # The server is up before anything is niced: else it would be niced too.
    with open_target(TargetOptions(), lambda _line: None, {}):
        for number in range(1, given.times + 1):
            quiet += measure("quiet", number)
            if number <= given.times - half:
                slow += measure("spin", number, *SPIN)
            else:
                with neighbours(cpus[0]):
                    slow += measure("neighbour", number, *pinned, prefix=NICED)
    held = slow == given.times and not quiet
    tell(proof="client", slow_marked=slow, of=given.times, quiet_marked=quiet, of_quiet=given.times, held=held)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
