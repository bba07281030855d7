"""`find-max` against a server whose limit is known: M/D/1, planted into pgflow.

Planted is a lock that a run's start takes when all else of it is done, and holds for a fixed time until it commits,
which waits for no disk: one server, one service time, as many starters as may queue for it. The service time is
measured, as is what a start takes beside it: the reciprocal of the rate of a closed load that keeps the lock busy,
and the median of a load so low that nobody waits. From both follows the limit on the median of a start that M/D/1
meets exactly at the load asked for; `find-max` has to find it.

Prints a line of JSON a search, and one of all; ends with 1 where fewer than nine of ten answers are within 5 %.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from _md1 import MD1
from _planted import migrations_with, tell, tool

TOLERANCE, SHARE = 0.05, 0.9
JOB = "concurrent-flows --flows 1 --steps 1 --workers 1 --starters 8 --purpose compare"
ONCE = "--repetitions 1 --warmup 0"
METRIC = "start.latency_ns.p50"
MEDIAN = 0.5
_MIGRATION = """
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE until timestamptz;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(6205);
  until := clock_timestamp() + interval '{hold_ms} ms';
  PERFORM pg_sleep({sleep_seconds});
  WHILE clock_timestamp() < until LOOP END LOOP;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER planted AFTER INSERT ON pgflow.runs DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION pgflow.planted();
"""
_ASLEEP = 0.75  # of a service: the rest is waited for on a core, as a sleeper wakes up when the kernel pleases


def measured(migrations: Path, *arguments: object) -> dict[str, Any]:
    """The one repetition of a run."""
    code, document = tool("run", *JOB.split(), *ONCE.split(), "--pgflow", migrations, *arguments)
    if code or document is None:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    repetition: dict[str, Any] = document["repetitions"][0]
    return repetition


def calibrated(migrations: Path, seconds: float) -> tuple[float, float]:
    """(seconds of one service, seconds of a start beside it)."""
    busy = measured(migrations, "--in-flight", 16, "--duration", f"{seconds}s")
    service = 1 / busy["client"]["schedule"]["started_per_second"]
    rate = round(0.05 / service, 2)
    idle = measured(migrations, "--rate", rate, "--duration", f"{max(seconds, 40 / rate)}s")
    return service, idle["phases"]["start"]["latency_ns"]["p50"] / 1e9 - service


def search(migrations: Path, given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One calibration and one search; how far it is off."""
    service, beside = calibrated(migrations, given.calibrate)
    server = MD1(given.load / service, service)
    limit = beside + service + server.wait_quantile_seconds(MEDIAN)
    code, document = tool(
        "find-max", *JOB.split(), "--pgflow", migrations, "--seed", seed, "-L", f"{METRIC}<{limit * 1000:.6f}ms",
        "--duration", f"{given.runs / server.per_second:.3f}s", "--start-rate", round(0.3 / service, 2),
        "--probes", given.probes, "--budget", "10m",
    )  # fmt: skip
    if document is None:
        raise SystemExit(f"a search ended with {code}: nothing is proven")
    answer, estimate = document["answer"]["per_second"], document["estimate"]
    return {
        "seed": seed,
        "service_ms": round(service * 1000, 3),
        "beside_ms": round(beside * 1000, 3),
        "limit_ms": round(limit * 1000, 3),
        "expected_per_second": round(server.per_second, 2),
        "answer_per_second": answer,
        "answer_off": None if answer is None else round(answer / server.per_second - 1, 4),
        "estimate_off": estimate and round(estimate["per_second"] / server.per_second - 1, 4),
        "estimate_ci95_off": estimate and [round(end / server.per_second - 1, 4) for end in estimate["ci95"]],
        "windows": len(document["path"]),
        "seconds": document["search"]["seconds"],
        "ended": document["answer"]["ended"],
        "exit_code": code,
    }


def main() -> int:
    """Search as often as asked; 1 where too few answers are near enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1, help="to go on with what was begun [1]")
    parser.add_argument("--load", type=float, default=0.75, help="share of the server's time at the limit [0.75]")
    parser.add_argument("--hold-ms", type=float, default=6.0, help="that a start holds the lock [6]")
    parser.add_argument("--runs", type=int, default=1_000, help="of a confirming window at the limit [1000]")
    parser.add_argument("--probes", type=int, default=6)
    parser.add_argument("--calibrate", type=float, default=8.0, help="seconds of each of the two before a search [8]")
    given = parser.parse_args()
    near = of_estimates = 0
    planted = _MIGRATION.format(hold_ms=given.hold_ms, sleep_seconds=_ASLEEP * given.hold_ms / 1000)
    with migrations_with(planted) as migrations:
        for seed in range(given.first_seed, given.first_seed + given.times):
            found = search(migrations, given, seed)
            near += found["answer_off"] is not None and abs(found["answer_off"]) <= TOLERANCE
            of_estimates += found["estimate_off"] is not None and abs(found["estimate_off"]) <= TOLERANCE
            tell(**found)
    held = near >= SHARE * given.times
    tell(proof="find-max", within=TOLERANCE, answers=near, estimates=of_estimates, of=given.times, held=held)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
