"""Seeded runs of every scenario struck by every fault: what came of each, and whether a difference is explained.

A run counts where at least one of its faults took hold by its proof. A difference is explained by an id, a fault that
took hold and a rule: what pgflow itself sends twice, what was sent while nobody listened. Anything else is not.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SCENARIOS = (
    ("single-flow", "--steps", "400"),
    ("concurrent-flows", "--flows", "2", "--runs", "120", "--steps", "5"),
    ("chain", "--depth", "5", "--runs", "80"),
    ("fan", "--width", "4", "--runs", "70"),
    ("map", "--elements", "6", "--runs", "50"),
    ("retries", "--runs", "60", "--failure-probability", "0.1", "--attempts", "3", "--failing-runs", "0.05"),
    ("mix", "--runs", "60"),
    ("dag", "--dag", "a b:a c:a d:b,c", "--runs", "80"),
)
FAULTS = (
    "kill-worker@{at}", "kill-worker@every {every}", "stop-worker@{at}:2500ms", "kill-backend@{at}",
    "kill-backend@random:3/{within}", "terminate-all@{at}", "restart@{at}", "restart-immediate@{at}",
    "lock-run@{at}:{short}", "cut@{at}", "stall@{at}:{short}", "stop-and-adopt@{at}:{short}",
    "stop-worker@every {every}:1500ms", "exhaust-connections@{at}:{short}", "kill-backend@every {every}",
    "stop-terminate-adopt@{at}:{short}", "requeue-stalled@{at}", "deadlock-in-map@{at}", "deadlock-in-batches@{at}",
)  # fmt: skip
CRASH = "restart-immediate@{at}"
HANG_SECONDS = 180
_FAILING = ("retries", "mix")  # what fails by design is not taken back
_LOADS = ("drain", "open", "closed")
# Of events: what pgflow itself sends twice, and what was sent while a fault that took hold had cut a listener off.
_RULES = ("doubled by pgflow", "lost while the observer was cut off by a fault", "not received yet")


def arguments_of(number: int, seed: int) -> list[str]:
    """The command line of one run of the storm; every fault and scenario comes round, what else there is is drawn."""
    drawn = random.Random(f"{seed} {number}")
    scenario = SCENARIOS[number % len(SCENARIOS)]
    # Nineteen and eight have no common divisor: every pair comes round.
    chosen = [FAULTS[number % len(FAULTS)]]
    if drawn.random() < 0.4:
        chosen.append(drawn.choice(FAULTS))
    faults = []
    for text in chosen:
        times = {"at": f"{drawn.randint(20, 900)}ms", "every": f"{drawn.randint(300, 900)}ms",
                 "within": f"{drawn.randint(800, 1500)}ms", "short": f"{drawn.randint(100, 900)}ms"}  # fmt: skip
        faults += ["--fault", text.format(**times)]
    load = drawn.choice(_LOADS)
    arguments = [*scenario, "--workers", "2", "--repetitions", "1", "--warmup", "0", "--vt", "1"]
    if load == "open" and scenario[0] != "single-flow":
        arguments = [*arguments, "--rate", "40"]
    elif load == "closed" and scenario[0] != "single-flow":
        arguments = [*arguments, "--in-flight", str(drawn.choice((2, 6)))]
    arguments += ["--completion", drawn.choice(("single", "pipeline", "batch"))]
    events = drawn.choice(("none", "none", "wal", "notify"))
    # Of a worker that was killed after such a crash nobody knows what it had been told.
    lossy = CRASH in chosen and not any(text.startswith("kill-worker") for text in chosen)
    if lossy and events != "notify" and scenario[0] not in _FAILING:
        arguments += ["--pg-setting", "synchronous_commit=off"]
    arguments += ["--events", events]
    # A small poll, and work that takes a while: at any moment somebody has something in hand.
    return [*arguments, "--poll-size", "5", "--client-delay", "500", "--seed", str(number + seed), *faults]


def storm(numbers: range, seed: int, migrations: list[str], folder: Path, journal: Path | None = None) -> int:
    """Strike these runs, a line of JSON each that was wrong and one in the end; how many were wrong.

    Args:
        journal: a line of JSON a run; what is in it already is not run again, and is counted with the others.
    """
    lines = journal.read_text().splitlines() if journal is not None and journal.exists() else []
    outcomes = {outcome["run"]: outcome for outcome in map(json.loads, lines)}
    for number in numbers:
        if number in outcomes:
            continue
        arguments = arguments_of(number, seed)
        # Shifted each time that all scenarios have come round: each version meets each of them.
        pgflow = migrations[(number + number // len(SCENARIOS)) % len(migrations)]
        if pgflow:
            arguments += ["--pgflow", pgflow]
        outcome = {"run": number, "pgflow": Path(pgflow).name or "default", **_run(arguments, folder)}
        outcome["command"] = " ".join(arguments)
        outcomes[number] = outcome
        if journal is not None:
            with journal.open("a") as out:
                out.write(json.dumps(outcome) + "\n")
        if outcome["wrong"]:
            told = {name: outcome[name] for name in ("run", "wrong", "command")}
            print(json.dumps({"kind": "timeline", **told}), flush=True)
    print(json.dumps(_totals(list(outcomes.values()))), flush=True)
    return sum(1 for outcome in outcomes.values() if outcome["wrong"])


def _totals(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    by_fault: dict[str, Counter[str]] = {}
    by_version: dict[str, Counter[str]] = {}
    explained: Counter[str] = Counter()
    for outcome in outcomes:
        held = {
            "runs": 1,
            "struck": any(not why for _, why in outcome["faults"]),
            "unexplained": bool(outcome["wrong"]),
        }
        by_version.setdefault(outcome["pgflow"], Counter()).update({name: int(one) for name, one in held.items()})
        explained.update(outcome["explained"])  # by rule
        for name, why in outcome["faults"]:
            by_fault.setdefault(name, Counter())["did not take hold" if why else "took hold"] += 1
    return {
        "kind": "timeline",
        "numbers": [min((one["run"] for one in outcomes), default=0), max((one["run"] for one in outcomes), default=0)],
        **sum(by_version.values(), Counter()),
        "hangs": sum(outcome["hang"] for outcome in outcomes),
        "unexplained": sum(bool(outcome["wrong"]) for outcome in outcomes),
        "by_version": {name: dict(counted) for name, counted in by_version.items()},
        "explained": dict(explained),
        "by_fault": {name: dict(counted) for name, counted in sorted(by_fault.items())},
    }


def _run(arguments: list[str], folder: Path) -> dict[str, Any]:
    path = folder / "timeline.json"
    path.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "pgflow_stress.cli.main", "run", *arguments, "--json", str(path)],
        env={**os.environ, "PGFLOW_STRESS_STATE": str(folder / "state")},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    outcome: dict[str, Any] = {"faults": [], "explained": Counter(), "hang": False, "wrong": []}
    try:
        _, said = process.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {**outcome, "hang": True, "wrong": ["hang"]}
    except BaseException:  # we are told to end
        process.terminate()
        process.communicate()
        raise
    if not path.exists():
        return {**outcome, "wrong": [f"exit {process.returncode}: {said.strip().splitlines()[-1:]}"]}
    repetition = json.loads(path.read_text())["repetitions"][0]
    outcome["faults"] = [(fault["name"], "" if fault["took_hold"] else fault["why"]) for fault in repetition["faults"]]
    outcome["explained"], outcome["wrong"] = judged(repetition)
    if process.returncode != 0:
        outcome["wrong"].append(f"exit {process.returncode}: {said.strip().splitlines()[-3:]}")
    return outcome


def judged(repetition: dict[str, Any]) -> tuple[Counter[str], list[str]]:
    """Differences by the rule that explains them, and those that nothing explains."""
    explained: Counter[str] = Counter()
    wrong = [f"{check['name']}: {check['ids'][:3]}" for check in repetition["audit"]["checks"] if not check["ok"]]
    lost = [check for check in repetition["audit"]["checks"] if "acknowledged and lost" in check["name"]]
    if lost:
        explained["lost in a crash without synchronous commit, done again"] += sum(one["expected"] for one in lost)
    tasks = repetition["tasks"]
    if tasks["expected"] != tasks["completed"] + tasks["failed"] + tasks["abandoned"]:
        wrong.append(f"tasks {tasks}")
    held = any(fault["took_hold"] for fault in repetition["faults"])
    for difference in repetition["events"].get("differences", ()):
        if held and difference["name"] in _RULES and difference["ids"]:
            explained[str(difference["name"])] += difference["count"]
        else:
            wrong.append(f"events: {difference['name']} {difference['ids'][:3]}")
    if repetition["lost_worker"]:
        wrong.append("a worker was lost that no fault had ended")
    return explained, wrong
