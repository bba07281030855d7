"""A sweep that is killed with -9 again and again and gone on with each time: for prove_sweep.

Moments are drawn by the seed: after so many kept repetitions, and a part of a second later; the first may strike before
anything is kept, the last while results are written.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from _planted import tell

AXES = ("completion-batch-size=1,2,5,20", "poll-size=1,5,10", "workers=1,2")
CHANGED = ("completion-batch-size=1,2,5,10", "poll-size=1,5,10", "workers=1,2")
JOB = ("concurrent-flows", "--flows", "1", "--runs", "3", "--steps", "2", "--warmup", "0", "--confirm", "0", "--quiet")
JOURNAL = "sweep.journal"
MOST_LATER_SECONDS = 1.0
GONE_SECONDS = 5.0
HANG_SECONDS = 900


class Sweep:
    """One grid into one directory, on a state directory of its own."""

    def __init__(self, state: Path, out: Path, repetitions: int) -> None:
        self.out = out
        self._repetitions = repetitions
        self._environment = {**os.environ, "PGFLOW_STRESS_STATE": str(state)}

    def begin(self, axes: tuple[str, ...] = AXES) -> subprocess.Popen[str]:
        """Begin it, or go on with it where there is something to go on with."""
        varied = [part for axis in axes for part in ("--vary", axis)]
        resume = ["--resume"] if (self.out / JOURNAL).exists() else []
        command = [sys.executable, "-m", "pgflow_stress.cli.main", "sweep", *JOB, *varied, *resume]
        return subprocess.Popen(
            [*command, "--repetitions", str(self._repetitions), "--output", str(self.out)],
            env=self._environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def kept(self) -> list[tuple[int, int]]:
        """(cell, round) of each repetition in the journal, in order."""
        path = self.out / JOURNAL
        lines = path.read_bytes().split(b"\n")[1:-1] if path.exists() else []
        return [(entry["cell"], entry["round"]) for entry in map(json.loads, lines)]

    def files(self) -> set[str]:
        """Everything in the directory."""
        return {str(path.relative_to(self.out)) for path in self.out.rglob("*")}

    def cells(self) -> list[tuple[str, int, list[int]]]:
        """Label, repetitions that count and codes of each cell, as sweep.json has them."""
        document = json.loads((self.out / "sweep.json").read_text())
        return [(c["label"], c["summary"]["execute.per_second"]["n"], c["codes"]) for c in document["cells"]]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its code and what it said."""
    try:
        _, said = process.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise SystemExit("a sweep hangs: nothing is proven") from None
    return process.returncode, said


def kill_at(sweep: Sweep, after: int, later_seconds: float) -> dict[str, Any]:
    """Kill it once so many repetitions are kept; what was left of its processes."""
    process = sweep.begin()
    deadline = time.monotonic() + HANG_SECONDS
    while len(sweep.kept()) < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(later_seconds)
    was_running = process.poll() is None
    process.kill()
    process.communicate()
    return {"after": after, "kept": len(sweep.kept()), "was_running": was_running, "left": _left(process.pid)}


def _left(session: int) -> list[str]:
    """Processes of the session that are still there when they had time to go."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            try:
                if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.info["cmdline"] or ())[:80])
            except (ProcessLookupError, psutil.Error):
                continue
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _servers(state: Path) -> list[int]:
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        found = [
            process.pid
            for process in psutil.process_iter(["cmdline", "status"])
            if str(state) in " ".join(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
            and "postgres" in (process.info["cmdline"] or [""])[0]
        ]  # fmt: skip
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _databases(state: Path) -> int:
    return sum(1 for base in state.rglob("base") if (base.parent / "PG_VERSION").exists() for _ in base.iterdir())


def prove_killed(times: int, repetitions: int, seed: int) -> bool:
    """The cells of an undisturbed one, none twice, nothing left behind."""
    randomly = random.Random(f"{seed} killed")
    with tempfile.TemporaryDirectory(prefix="pgflow-stress-prove-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server's system user has to pass
        state = folder / "state"
        calm = Sweep(state, folder / "calm", repetitions)
        began = time.monotonic()
        code, said = ended(calm.begin())
        if code:
            raise SystemExit(f"the undisturbed sweep ended with {code}: {said[-300:]}")
        cells = calm.cells()
        tell(undisturbed_seconds=round(time.monotonic() - began, 1), repetitions=len(calm.kept()))
        databases = _databases(state)

        struck = Sweep(state, folder / "struck", repetitions)
        places = sorted(randomly.sample(range(len(calm.kept()) + 1), times))
        kills = []
        refused: tuple[int, str] = (0, "")
        for after in places:
            kills.append(kill_at(struck, after, randomly.uniform(0, MOST_LATER_SECONDS)))
            tell(kill=len(kills), **kills[-1])
            if not refused[0] and kills[-1]["kept"]:
                before = (struck.out / JOURNAL).read_bytes()
                refused = ended(struck.begin(CHANGED))
                if (struck.out / JOURNAL).read_bytes() != before:
                    refused = (0, "the journal was changed")
        code, said = ended(struck.begin())
        twice = [place for place, many in Counter(struck.kept()).items() if many > 1]
        checks = {
            "killed while it ran": all(kill["was_running"] for kill in kills[:-1]),
            "no process outlived a kill": not any(kill["left"] for kill in kills),
            "ended with 0": code == 0,
            "same repetitions": sorted(struck.kept()) == sorted(calm.kept()),
            "same order": struck.kept() == calm.kept(),
            "none twice": not twice,
            "same cells": struck.cells() == cells,
            "same files": struck.files() == calm.files(),
            "no server left": not _servers(state),
            "no database left": _databases(state) == databases,
            "another grid refused with 2, in a line": refused[0] == 2 and refused[1].count("\n") == 1,
        }
        held = all(checks.values())
        if not held:
            tell(said=said[-500:], refused=refused, more_files=sorted(struck.files() ^ calm.files())[:10], twice=twice)
    tell(proof="killed", kills=len(kills), cells=len(cells), checks=checks, held=held)
    return held
