"""The open load against closed forms: how well it is paced, and what a planted stall does to its latencies.

    pacing    half of what a pilot found possible: the mean rate against the one asked for, and our own lag
    stall     a second's lock on pgflow.runs at half load: corrected response times against the closed form

The closed form of a stall of S seconds at rate r, where starters that are never idle start m runs a second: a run due
x seconds after its begin waits for the rest of it and for those before it, S - x + x r / m, so that r S / (1 - r / m)
runs wait, evenly spread up to S; behind it each takes its service time. So that m is a property of the server and not
of what else its cores do, a sleep is planted into start_flow; r is m / 2. Prints a line of JSON a proof.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import psycopg  # noqa: E402
from _planted import migrations_with  # noqa: E402

from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.embedded import EmbeddedTarget  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402

SHARED = "concurrent-flows --flows 4 --steps 1 --workers 1 --repetitions 1 --warmup 0"
STALL_SECONDS = 1.0
STARTERS = 2
_SLOW_STARTS = """
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
CREATE TRIGGER planted BEFORE INSERT ON pgflow.runs FOR EACH ROW EXECUTE FUNCTION pgflow.planted();
"""


def measure(target: EmbeddedTarget, *arguments: object, stall_at: float | None = None) -> dict[str, Any]:
    """One run of the tool; the document."""
    output = Path(tempfile.mkdtemp(prefix="pgflow-stress-prove-")) / "r.json"
    command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *SHARED.split(), *map(str, arguments)]
    with subprocess.Popen(
        [*command, "--json", str(output)], stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if stall_at is not None and line.startswith("phase process"):
                time.sleep(stall_at)
                _stall(target)
                break
        said = running.communicate()[1]
    if running.returncode:
        raise RuntimeError(said[-500:])
    document: dict[str, Any] = json.loads(output.read_text())
    return document


def _stall(target: EmbeddedTarget) -> None:
    with psycopg.connect(target.conninfo("postgres"), autocommit=True) as server:
        found = server.execute(
            "select datname from pg_stat_activity where application_name = 'pgflow-stress: starter 0'"
        ).fetchone()
    assert found is not None
    with psycopg.connect(target.conninfo(found[0])) as locker:
        locker.execute("lock table pgflow.runs in exclusive mode")
        time.sleep(STALL_SECONDS)


def pacing(target: EmbeddedTarget, seconds: float) -> dict[str, Any]:
    """Half of what is possible, paced."""
    pilot = measure(target, "--in-flight", 4, "--duration", "5s")
    rate = round(pilot["repetitions"][0]["client"]["schedule"]["started_per_second"] / 2, 1)
    found = measure(target, "--rate", rate, "--duration", f"{seconds}s")["repetitions"][0]["client"]["schedule"]
    asked = found["offered_per_second"]
    return {
        "proof": "pacing",
        "rate": rate,
        "started": found["started"],
        "started_per_second": round(found["started_per_second"], 3),
        "off_by": round(found["started_per_second"] / asked - 1, 5),
        "lag_late_p99_ms": _ms(found["lag_late_ns"]["p99"]),
        "lag_busy_p99_ms": _ms(found["lag_busy_ns"]["p99"]),
        "held": abs(found["started_per_second"] / asked - 1) <= 0.005,
    }


def stall(target: EmbeddedTarget, seconds: float) -> dict[str, Any]:
    """A second's stall at half load."""
    with migrations_with(_SLOW_STARTS) as slow:
        shared = ("--pgflow", slow, "--starters", STARTERS)
        pilot = measure(target, *shared, "--in-flight", 1000, "--duration", "10s")
        most = pilot["repetitions"][0]["client"]["schedule"]["started_per_second"]
        rate = round(most / 2, 1)
        repetition = measure(target, *shared, "--rate", rate, "--duration", f"{seconds}s", stall_at=seconds / 2)
    repetition = repetition["repetitions"][0]
    start, schedule = repetition["phases"]["start"]["latency_ns"], repetition["client"]["schedule"]
    service = schedule["start_service_ns"]["p50"] / 1e9
    share = STALL_SECONDS / seconds / (1 - rate / most)  # of all runs, that wait; 1 % of all lie beyond the p99
    expected_p99 = STALL_SECONDS * (1 - 0.01 / share) + service
    return {
        "proof": "stall",
        "rate": rate,
        "most_per_second": round(most, 1),
        "runs": schedule["started"],
        "p99_ms": _ms(start["p99"]),
        "expected_p99_ms": round(expected_p99 * 1000, 1),
        "max_ms": _ms(start["max"]),
        "expected_max_ms": round((STALL_SECONDS + service) * 1000, 1),
        "uncorrected_p99_ms": _ms(schedule["start_service_ns"]["p99"]),
        "held": abs(start["p99"] / 1e9 / expected_p99 - 1) <= 0.05
        and abs(start["max"] / 1e9 / (STALL_SECONDS + service) - 1) <= 0.05,
    }


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 2)


def main() -> int:
    """Run the proofs asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=["pacing", "stall"])
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    held = True
    with open_target(TargetOptions(), lambda _line: None, {}) as target:
        assert isinstance(target, EmbeddedTarget)
        for proof in given.proofs:
            found = {"pacing": pacing, "stall": stall}[proof](target, given.seconds)
            held = held and bool(found["held"])
            print(json.dumps(found), flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
