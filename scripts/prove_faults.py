"""Fault storms: a run is struck at a random moment of its process phase, and nothing may hang, be lost or be left.

    worker       kill -9 of one worker: replaced, what it had claimed adopted, every task accounted for, exit 0
    coordinator  kill -9: its processes are gone at once; database and server after the next start
    once         SIGINT: drained, written, exit 130
    twice        SIGINT, and again 0.3 s later: gone within 5 s
    group        SIGINT to the whole group, as Ctrl-C does
    timeline     seeded runs of every scenario struck by --fault: nothing unexplained, none hangs; only where it is
                 named, with --pgflow DIR for other migrations beside 0.8.1 (scripts/_timeline_storm.py)

Each strike has a state directory of its own to look for leftovers in. Prints a line of JSON a kind.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from _timeline_storm import storm

ARGUMENTS = (
    "run concurrent-flows --flows 2 --runs {runs} --steps 5 --workers 2 --completion single --repetitions 1 --warmup 0"
)
FOLLOWING = ("run", "single-flow", "--steps", "10", "--repetitions", "1", "--warmup", "0", "--json", "-")
KINDS = ("worker", "coordinator", "once", "twice", "group")
TIMELINE = "timeline"
HANG_SECONDS = 120
GONE_SECONDS = 5.0


class Strike:
    """One run that is struck."""

    def __init__(self, kind: str, state: Path, runs: int, randomly: random.Random, others: Sequence[str] = ()) -> None:
        self.kind, self.state, self.randomly = kind, state, randomly
        self.output = state.parent / "r.json"
        self.output.unlink(missing_ok=True)
        self.environment = {**os.environ, "PGFLOW_STRESS_STATE": str(state)}
        self.said: list[str] = []
        self.command = [sys.executable, "-m", "pgflow_stress.cli.main"]
        arguments = [*ARGUMENTS.format(runs=runs).split(), *others]
        self.process = subprocess.Popen(
            [*self.command, *arguments, "--json", str(self.output)],
            env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.processing = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line)
            if line.startswith("phase process"):
                self.processing.set()

    def strike(self) -> dict[str, Any]:
        """Strike it, wait, look around; what was wrong."""
        if not self.processing.wait(HANG_SECONDS):
            self.process.kill()
            return {"wrong": f"no process phase: {self.said[-3:]}"}
        time.sleep(self.randomly.uniform(0.05, 1.5))
        began = time.monotonic()
        self._hit()
        try:
            self.process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return {"wrong": f"hang: {self.said[-3:]}"}
        took = time.monotonic() - began
        time.sleep(0.3 if self.kind == "coordinator" else 0.1)
        wrong = self._leftover_processes() + getattr(self, f"_after_{self.kind}")(took)
        return {"seconds": round(took, 2), "wrong": "; ".join(wrong)}

    def _hit(self) -> None:
        pid = self.process.pid
        if self.kind == "worker":
            workers = [p for p in _ours(pid) if p.info["cmdline"][0].startswith("pgflow-stress: worker")]
            os.kill(self.randomly.choice(workers).pid, signal.SIGKILL)
        elif self.kind == "coordinator":
            os.kill(pid, signal.SIGKILL)
        elif self.kind == "group":
            os.killpg(pid, signal.SIGINT)
        else:
            os.kill(pid, signal.SIGINT)
            if self.kind == "twice":
                time.sleep(0.3)
                os.kill(pid, signal.SIGINT)

    def _leftover_processes(self) -> list[str]:
        left = [p.info["cmdline"][0] for p in _ours(self.process.pid)]
        if self.kind != "coordinator":
            left += [f"server {p.pid}" for p in _servers(self.state)]
        return [f"processes left: {left}"] if left else []

    def _document(self) -> dict[str, Any]:
        return json.loads(self.output.read_text())["repetitions"][-1] if self.output.exists() else {}

    def _after_worker(self, _took: float) -> list[str]:
        repetition = self._document()
        if self.process.returncode != 0 or not repetition:
            return [f"exit {self.process.returncode}: {self.said[-3:]}"]
        tasks, kinds = repetition["tasks"], {incident["kind"] for incident in repetition["incidents"]}
        wrong = [] if tasks["completed"] == tasks["expected"] else [f"tasks {tasks}"]
        wrong += [] if repetition["audit"]["ok"] else ["audit"]
        wrong += [] if {"worker lost", "worker replaced"} <= kinds or not kinds else [f"incidents {kinds}"]
        return wrong

    def _after_coordinator(self, _took: float) -> list[str]:
        following = subprocess.run(
            [*self.command, *FOLLOWING],
            env=self.environment, capture_output=True, text=True, timeout=HANG_SECONDS, check=False,
        )  # fmt: skip
        wrong = (
            [] if following.returncode == 0 else [f"next start: exit {following.returncode} {following.stderr[-200:]}"]
        )
        left = _servers(self.state)
        return wrong + ([f"server left after the next start: {left}"] if left else [])

    def _interrupted(self) -> list[str]:
        repetition = self._document()
        wrong = [] if self.process.returncode == 130 else [f"exit {self.process.returncode}: {self.said[-3:]}"]
        if not repetition or not repetition["interrupted"]:
            return [*wrong, "what was measured is not written"]
        tasks = repetition["tasks"]
        return wrong + ([] if tasks["expected"] == tasks["completed"] + tasks["unfinished"] else [f"tasks {tasks}"])

    def _after_once(self, _took: float) -> list[str]:
        return self._interrupted()

    def _after_group(self, _took: float) -> list[str]:
        return self._interrupted()

    def _after_twice(self, took: float) -> list[str]:
        wrong = [] if self.process.returncode == 130 else [f"exit {self.process.returncode}: {self.said[-3:]}"]
        return wrong + ([] if took < GONE_SECONDS else [f"took {took:.1f} s"])


def _ours(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            named = (process.info["cmdline"] or [""])[0].startswith("pgflow-stress:")
            if named and os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


def _servers(state: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if str(state) in " ".join(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
        and process.pid != os.getpid() and "postgres" in (process.info["cmdline"] or [""])[0]
    ]  # fmt: skip


def _shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


def main() -> int:
    """Strike, and say how often something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--pgflow", action="append", default=[], metavar="DIR", help="of timeline")
    parser.add_argument("--only-given", action="store_true", help="of timeline: not on 0.8.1")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0, metavar="K", help="of timeline: begin with its run K")
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="of timeline: keep what came of each run; what is in it is not run again",
    )
    parser.add_argument("--runs", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with", dest="others", default="", help="more options of the run, as one text")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left
    if unknown := set(given.kinds) - {*KINDS, TIMELINE}:
        parser.error(f"no such kind: {', '.join(unknown)}; there are {', '.join((*KINDS, TIMELINE))}")
    folder = Path(tempfile.mkdtemp(prefix="pgflow-stress-prove-"))
    folder.chmod(0o755)
    shared_memory = _shared_memory()
    bad = 0
    try:
        for kind in given.kinds:
            if kind == TIMELINE:
                versions = given.pgflow if given.only_given else ["", *given.pgflow]
                numbers = range(given.first_seed, given.first_seed + given.times)
                bad += storm(numbers, given.seed, versions, folder, given.journal)
                continue
            randomly = random.Random(f"{given.seed} {kind}")
            outcomes = [
                Strike(kind, folder / "state", given.runs, randomly, given.others.split()).strike()
                for _ in range(given.times)
            ]
            wrong = [outcome["wrong"] for outcome in outcomes if outcome["wrong"]]
            bad += len(wrong)
            seconds = sorted(outcome.get("seconds", 0) for outcome in outcomes)
            line = {
                "kind": kind,
                "times": given.times,
                "wrong": len(wrong),
                "longest_seconds": seconds[-1],
                "what": wrong[:5],
            }
            print(json.dumps(line), flush=True)
        # A server makes and removes its own segments; somebody else's may be starting right now.
        left = {name for name in _shared_memory() - shared_memory if not name.startswith("PostgreSQL.")}
        if left:
            bad += 1
            print(json.dumps({"kind": "shared memory", "wrong": len(left), "what": sorted(left)}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
