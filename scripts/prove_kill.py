"""kill -9 of any process at a random moment of a run; after the next start nothing of it is left.

Each kill: a small run, its scenario, load, events and target drawn by the seed; one process of it is killed at a drawn
moment between its birth and its end. The run may not hang, show a traceback or end with a code that its loss does not
explain. Then the next start, or `db clean` (they take turns), and nothing may be left: processes, shared memory,
leases, sockets, temporary files, databases, roles, slots, publications, triggers, rows, queues.

`--first-seed 41 --times 20` goes on where another call ended. Prints a line of JSON a kill and one in the end.
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
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from _leavings import Server, Surroundings, end_in_order, processes_of, servers_of

COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main")
SMALL = ("--workers", "2", "--repetitions", "1", "--warmup", "1", "--vt", "2")
FOLLOWING = ("run", "single-flow", "--steps", "10", "--repetitions", "1", "--warmup", "0")
SCENARIOS = (
    ("single-flow", "--steps", "500"),
    ("concurrent-flows", "--flows", "2", "--runs", "150", "--steps", "5"),
    ("chain", "--depth", "5", "--runs", "80"),
    ("fan", "--width", "4", "--runs", "70"),
    ("map", "--elements", "6", "--runs", "50"),
    ("retries", "--runs", "60"),
)
LOADS = ((), ("--rate", "60"), ("--in-flight", "6"))
EVENTS = ("none", "wal", "notify")
TARGETS = ("clone", "prefix", "fresh")
HANG_SECONDS = 120
MOST_SECONDS_LATER = 6.0
TRIES = 6  # of finding the process alive at the drawn moment
# What a run may end with whose process was lost: replaced, or given up with the reason. Never lost tasks, nor a stall.
CODES = {
    "coordinator": {-9},
    "everything": {-9},
    "nursery": {1, 3},
    "worker": {0, 1, 3},
    "starter": {0, 1, 3},
    "observer": {0, 1, 3},
    "sampler": {0},
    "postmaster": {1, 3},
}
OVER = ("audit", "clean-up")  # of the last repetition: a server that is lost by then may have answered everything
# NOTIFY is not repeated: what was sent before the next observer listened is missing, and that is exit code 4.
EVENTS_MISSING, AWAY = 4, "lost while the observer was away"


@dataclass(frozen=True)
class Drawn:
    """One kill: what runs, who is killed, how long after it was first seen."""

    seed: int
    role: str
    target: str
    arguments: tuple[str, ...]
    later_seconds: float
    cleans: bool  # db clean instead of another run


def drawn(seed: int, attempt: int) -> Drawn:
    """The kill of a seed; roles and targets come round, the rest is drawn."""
    randomly = random.Random(f"{seed} {attempt}")
    role = tuple(CODES)[seed % len(CODES)]
    target = "clone" if role in ("postmaster", "everything") else TARGETS[seed // len(CODES) % len(TARGETS)]
    scenario = randomly.choice(SCENARIOS if role != "starter" else SCENARIOS[1:])
    loads = LOADS if scenario[0] != "single-flow" else LOADS[:1]
    load = randomly.choice(loads[1:] if role == "starter" else loads)
    events = randomly.choice(EVENTS[1:] if role == "observer" else EVENTS)
    mode = randomly.choice(("single", "pipeline", "batch"))
    arguments = (*scenario, *load, *SMALL, "--completion", mode, "--events", events, "--seed", str(seed))
    return Drawn(seed, role, target, arguments, randomly.uniform(0, MOST_SECONDS_LATER), bool(seed % 2))


class Killer:
    """Runs, kills, starts again, looks around."""

    def __init__(self, folder: Path) -> None:
        """A state directory for the embedded server of the runs, another with the server that is given to them."""
        self._around = Surroundings(folder)
        self._given = Server(folder / "given")

    def close(self) -> None:
        """Stop the given server."""
        self._given.down()

    def _target(self, one: Drawn) -> tuple[str, ...]:
        if one.target == "clone":
            return ()
        return ("--dsn", self._given.conninfo("given"), "--isolation", one.target)

    def kill(self, seed: int) -> dict[str, Any]:
        """One kill; "wrong" says what was."""
        for attempt in range(TRIES):
            one = drawn(seed, attempt)
            before = self._around.look(self._given)
            found = self._struck(one)
            if found is not None:
                break
        else:
            return {"seed": seed, "role": one.role, "missed": True, "wrong": []}
        code, said, phase = found
        missing = one.role == "observer" and "notify" in one.arguments and AWAY in " ".join(said.split())
        explained = CODES[one.role] | ({EVENTS_MISSING} if missing else set())
        explained |= {0} if one.role == "postmaster" and phase in OVER else set()
        wrong = [] if code in explained else [f"exit {code}: {said.splitlines()[-2:]}"]
        wrong += ["a traceback"] if "Traceback" in said or "bug of ours" in said else []
        time.sleep(0.3)
        wrong += [f"processes before the next start: {left}" for left in [processes_of(self._session)] if left]
        wrong += self._next(one)
        wrong += self._around.left(before, self._given)
        return {
            "seed": seed, "role": one.role, "target": one.target, "phase": phase, "exit": code,
            "then": "clean" if one.cleans else "run", "wrong": wrong,
            **({"command": " ".join(one.arguments)} if wrong else {}),
        }  # fmt: skip

    def _struck(self, one: Drawn) -> tuple[int, str, str] | None:
        """The code, what was said, the phase that it was struck in; None where it was over before."""
        process = subprocess.Popen(
            [*COMMAND, "run", *one.arguments, *self._target(one), "--json", os.devnull],
            env=self._around.environment, cwd=self._around.folder("cwd"), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._session = process.pid
        said: list[str] = []
        assert process.stderr is not None
        listening = threading.Thread(target=said.extend, args=(iter(process.stderr.readline, ""),), daemon=True)
        listening.start()
        hit = self._hit(one, process)
        phase = next((line.split()[1] for line in reversed(said) if line.startswith("phase ")), "set-up")
        try:
            process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            said.append(f"hang of {HANG_SECONDS} s")
        listening.join(5)
        if not hit:
            return None
        return process.returncode, "".join(said), phase

    def _hit(self, one: Drawn, process: subprocess.Popen[str]) -> bool:
        while not (there := self._found(one.role)):
            if process.poll() is not None:
                return False
            time.sleep(0.02)
        time.sleep(one.later_seconds)
        there = self._found(one.role)
        if not there or process.poll() is not None:
            return False
        if one.role == "everything":
            for victim in there:
                _kill(victim.pid)
            return True
        return _kill(random.Random(one.seed).choice(there).pid)

    def _found(self, role: str) -> list[psutil.Process]:
        if role == "coordinator":
            return [psutil.Process(self._session)] if psutil.pid_exists(self._session) else []
        if role == "postmaster":
            return servers_of(self._around.state)[:1]
        if role == "everything":
            tool = processes_of(self._session)
            return [psutil.Process(pid) for pid, _ in tool] + servers_of(self._around.state) if tool else []
        return [psutil.Process(pid) for pid, title in processes_of(self._session) if title.split()[1] == role]

    def _next(self, one: Drawn) -> list[str]:
        arguments = ("db", "clean") if one.cleans else (*FOLLOWING, "--json", os.devnull)
        target = self._target(one)
        if one.cleans:
            target = target[:2]
        done = subprocess.run(
            [*COMMAND, *arguments, *target], env=self._around.environment, cwd=self._around.folder("cwd"),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANG_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            return [f"{' '.join(arguments[:2])} afterwards: exit {done.returncode}: {done.stderr.splitlines()[-2:]}"]
        return []


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def main() -> int:
    """1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1)
    asked = parser.parse_args()
    end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="pgs-kill-", dir="/tmp"))
    folder.chmod(0o755)  # the server's system user has to pass
    counts: Counter[str] = Counter()
    roles: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    began = time.monotonic()
    killer = None
    try:
        killer = Killer(folder)
        for seed in range(asked.first_seed, asked.first_seed + asked.times):
            outcome = killer.kill(seed)
            print(json.dumps({"proof": "kill", **outcome}), flush=True)
            if outcome.get("missed"):
                counts["missed"] += 1
                continue
            counts["kills"] += 1
            counts["wrong"] += bool(outcome["wrong"])
            roles[outcome["role"]] += 1
            phases[outcome["phase"]] += 1
    finally:
        if killer is not None:
            killer.close()
        shutil.rmtree(folder, ignore_errors=True)
    line = {"proof": "kill", "first_seed": asked.first_seed, "kills": counts["kills"], "wrong": counts["wrong"],
            "missed": counts["missed"], "roles": roles, "phases": phases,
            "seconds": round(time.monotonic() - began)}  # fmt: skip
    print(json.dumps(line))
    return 1 if counts["wrong"] or not counts["kills"] else 0


if __name__ == "__main__":
    sys.exit(main())
