"""Event delivery at size and under cuts: every event is found, or named.

    wal       a run with 1,000,000 events on the log: none missing, none twice, memory flat
    notify    200,000 events on NOTIFY, likewise
    cut-wal   the observer's connection is cut 20 times under load: none missing
    cut-notify    likewise on NOTIFY: each lost event is named

Prints a line of JSON a proof.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import psutil  # noqa: E402
import psycopg  # noqa: E402

from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.embedded import EmbeddedTarget  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402

STEPS = 100  # 202 events a run
SHARED = "--flows 10 --workers 2 --poll-size 100 --completion-batch-size 100 --repetitions 1 --warmup 0 --timeout 3600"


class Proof:
    """One run of the tool, looked at from outside."""

    def __init__(self, transport: str, events: int, conninfo: str) -> None:
        self._conninfo = conninfo
        self._runs = -(-events // (2 + 2 * STEPS))
        self._output = Path(tempfile.mkdtemp(prefix="pgflow-stress-prove-")) / "r.json"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pgflow_stress.cli.main", "run", "concurrent-flows", "--steps", str(STEPS),
             "--runs", str(self._runs), *SHARED.split(), "--events", transport, "--json", str(self._output)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._begun = threading.Event()
        self._said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            self._said.append(line)
            if line.startswith("phase start"):
                self._begun.set()

    def cut(self, times: int, randomly: random.Random) -> int:
        """End the observer's backend at random moments of the run; how often it was done."""
        done = 0
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            while done < times and self._process.poll() is None:
                if not self._begun.wait(0.1):
                    continue
                time.sleep(randomly.uniform(0.2, 1.5))
                done += connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'observer'"
                ).rowcount
        return done

    def watch_memory(self) -> list[int]:
        """Resident bytes of the observer, twice a second, until the run ends."""
        found = []
        me = psutil.Process(self._process.pid)
        while self._process.poll() is None:
            for child in me.children(recursive=True):
                try:
                    if child.cmdline() and "observer" in child.cmdline()[0]:
                        found.append(child.memory_info().rss)
                except psutil.Error:
                    continue
            time.sleep(0.5)
        return found

    def outcome(self) -> dict[str, Any]:
        """What the result says."""
        code = self._process.wait()
        if not self._output.exists():
            return {"exit_code": code, "said": self._said[-3:]}
        document = json.loads(self._output.read_text())
        repetition = document["repetitions"][0]
        events = repetition["events"]
        return {
            "exit_code": code,
            "runs": self._runs,
            "expected": sum(events["expected"].values()),
            "stored": sum(events["stored"].values()),
            "received": sum(events["received"].values()),
            "missing": events["missing"],
            "duplicate": events["duplicate"],
            "unexpected": events["unexpected"],
            "differences": {one["name"]: one["count"] for one in events["differences"]},
            "named": {one["name"]: len(one["ids"]) for one in events["differences"]},
            "reconnects": events["observer"]["reconnects"],
            "redelivered": events["observer"]["redelivered"],
            "deliver_seconds": repetition["phases"]["deliver"]["seconds"],
            "end_to_end_seconds": repetition["phases"]["end_to_end"]["seconds"],
            "observer_cpu_seconds": events["observer"]["cpu_ns"] / 1e9,
        }


def _memory(samples: list[int]) -> dict[str, float]:
    """Of the observer, MB: at a tenth of its life, at its end, and most."""
    if not samples:
        return {}
    return {
        name: round(value / 1e6, 1)
        for name, value in (("early", samples[len(samples) // 10]), ("late", samples[-1]), ("most", max(samples)))
    }


def main() -> int:
    """Run the proofs asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=["wal", "notify", "cut-wal", "cut-notify"])
    parser.add_argument("--wal-events", type=int, default=1_000_000)
    parser.add_argument("--notify-events", type=int, default=200_000)
    parser.add_argument("--cut-events", type=int, default=60_000)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    held = True
    with open_target(TargetOptions(), lambda _line: None, {}) as target:
        assert isinstance(target, EmbeddedTarget)
        for proof in given.proofs:
            transport = proof.removeprefix("cut-")
            cutting = proof.startswith("cut-")
            events = given.cut_events if cutting else getattr(given, f"{transport}_events")
            running = Proof(transport, events, target.conninfo("postgres"))
            more: dict[str, Any] = {}
            if cutting:
                more["cuts"] = running.cut(given.cuts, random.Random(given.seed))
            else:
                more["observer_mb"] = _memory(running.watch_memory())
            found = {"proof": proof, **running.outcome(), **more}
            if cutting and transport == "notify":
                names = set(found.get("differences", {})) <= {"lost while the observer was away"}
                good = names and found.get("missing") == sum(found.get("named", {}).values())
            else:
                good = found["exit_code"] == 0 and found["missing"] == found["duplicate"] == found["unexpected"] == 0
            held = held and good
            print(json.dumps({**found, "held": good}), flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
