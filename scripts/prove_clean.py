"""Runs in which nothing is planted raise no alarm: every scenario and mode, drawn by the seed.

An alarm is an exit code other than 0, a check that fails, an event that is lost, doubled or unexpected, tasks that do
not add up, a worker lost, a stall, a traceback. `--first-seed 41 --times 20` goes on where another call ended.
Prints a line of JSON an alarm and one in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _leavings import Server, end_in_order

COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main")
FLOWS = Path(__file__).resolve().parent.parent / "tests" / "data" / "flows"
SCENARIOS = (
    ("single-flow", "--steps", "300"),
    ("concurrent-flows", "--flows", "3", "--runs", "60", "--steps", "5"),
    ("concurrent-flows", "--flows", "4", "--runs", "60", "--steps", "3", "--deal", "zipf:1.2"),
    ("chain", "--depth", "5", "--runs", "40"),
    ("fan", "--width", "4", "--runs", "40"),
    ("map", "--elements", "6", "--levels", "2", "--runs", "20"),
    ("map", "--elements", "0", "--runs", "20"),
    ("retries", "--runs", "30", "--base-delay", "1", "--failing-runs", "0.1", "--failure-probability", "0.1"),
    ("definition", "--steps", "40"),
    ("mix", "--runs", "40"),
    ("dag", "--dag", "a b:a c:a d:b,c e*3:d", "--runs", "40"),
    ("own-flow", "--flow", f"{FLOWS / 'fulfil_order.sql'}", "--runs", "20"),
    ("own-flow", "--flow", f"{FLOWS / 'crawl_site.sql'}", "--runs", "20"),
)
WITH_CONDITIONS = ("own-flow", "--flow", f"{FLOWS / 'route_ticket.sql'}", "--runs", "20")  # a later pgflow's
NOT_OPEN = ("single-flow", "definition")  # scenarios of one run, or of none
SHARE_OF_LATER = 0.5
MOST_FLOWS = 10  # of a scenario
HANG_SECONDS = 180
# What the result lists though nothing was planted: pgflow's deadlocks, that are retried and counted.
EXPECTED_INCIDENTS = ("refused",)


def arguments_of(seed: int, later: str | None) -> tuple[list[str], str]:
    """The options of a seed's run, and where it is to run; scenarios come round, the rest is drawn.

    Args:
        later: another pgflow, that half of the runs are on.
    """
    drawn = random.Random(seed)
    scenarios = (*SCENARIOS, WITH_CONDITIONS) if later else SCENARIOS
    scenario = scenarios[seed % len(scenarios)]
    edge = drawn.random() < 0.15
    options = {
        "--workers": drawn.choice((1, 2, 2, 3)),
        "--creation": drawn.choice(("single", "pipeline", "batch")),
        "--events": drawn.choice(("none", "wal", "notify")),
        "--realtime-send": drawn.choice(("supabase", "supabase", "insert")),
        "--poll-size": drawn.choice((1, 5, 20, 100)),
        "--empty-poll": drawn.choice(("sleep:1", "spin", "read-with-poll:1,50")),
        "--payload": drawn.choice((0, 32, 2000)),
        "--seed": seed,
    }
    if options["--events"] == "notify":
        options["--realtime-send"] = drawn.choice(("supabase", "notify"))
    if edge:
        options["--worker-model"] = "edge-worker"
        del options["--empty-poll"]
        options["--workers"] = MOST_FLOWS  # a worker serves one flow
    else:
        options["--completion"] = drawn.choice(("single", "pipeline", "batch"))
        options["--completion-batch-size"] = drawn.choice((1, 7, 20))
    if drawn.random() < 0.2:
        options["--work"] = drawn.choice(("2ms", "exponential(3ms)"))
        if str(options.get("--empty-poll", "")).startswith("read"):  # it would hold up completions: refused
            options["--empty-poll"] = "sleep:1"
    if scenario[0] not in NOT_OPEN:
        options |= drawn.choice(({}, {}, {"--rate": 40}, {"--in-flight": 5}))
    isolations: tuple[str, ...] = ("clone", "clone", "prefix", "fresh")
    if later and (scenario is WITH_CONDITIONS or drawn.random() < SHARE_OF_LATER):
        options["--pgflow"] = later
        isolations = ("clone", "fresh")  # a given database has its own
    more = [str(part) for pair in options.items() for part in pair]
    return [*scenario, *more, "--repetitions", "1", "--warmup", "0"], drawn.choice(isolations)


def alarms(document: dict[str, Any]) -> list[str]:
    """What a result says is wrong."""
    found: list[str] = []
    for repetition in document["repetitions"]:
        found += [f"{one['name']}: {one['ids'][:3]}" for one in repetition["audit"]["checks"] if not one["ok"]]
        found += [f"{one['name']}: {one['ids'][:3]}" for one in repetition["events"].get("differences", ())]
        tasks = repetition["tasks"]
        if tasks["expected"] != tasks["completed"] + tasks["failed"] + tasks["abandoned"]:
            found.append(f"tasks {tasks}")
        found += [
            f"{one['kind']} {one['subject']}: {one['detail']}"
            for one in repetition["incidents"]
            if one["kind"] not in EXPECTED_INCIDENTS
        ]
        found += ["a worker was lost"] if repetition["lost_worker"] else []
    return found


def run(seed: int, folder: Path, given: Server, later: str | None) -> tuple[list[str], list[str]]:
    """(alarms, arguments) of one run."""
    arguments, target = arguments_of(seed, later)
    if target != "clone":
        arguments += ["--dsn", given.conninfo("given"), "--isolation", target]
        if "--realtime-send" in arguments and target == "prefix":  # the database has what it was given
            at = arguments.index("--realtime-send")
            del arguments[at : at + 2]
    path = folder / "r.json"
    path.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            [*COMMAND, "run", *arguments, "--json", str(path)],
            env={**os.environ, "PGFLOW_STRESS_STATE": str(folder / "state")}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=HANG_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ["hang"], arguments
    found = alarms(json.loads(path.read_text())) if path.exists() else ["no result"]
    if done.returncode:
        found.append(f"exit {done.returncode}: {done.stderr.splitlines()[-2:]}")
    return found + (["a traceback"] if "Traceback" in done.stderr or "bug of ours" in done.stderr else []), arguments


def main() -> int:
    """1 where there was an alarm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--pgflow", metavar="DIR", help="half of the runs are on the pgflow of these migrations")
    asked = parser.parse_args()
    end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="pgs-clean-", dir="/tmp"))
    folder.chmod(0o755)  # the server's system user has to pass
    scenarios: Counter[str] = Counter()
    began, alarmed, given = time.monotonic(), 0, None
    try:
        given = Server(folder / "given")
        for seed in range(asked.first_seed, asked.first_seed + asked.times):
            found, arguments = run(seed, folder, given, asked.pgflow)
            scenarios[arguments[0]] += 1
            if found:
                alarmed += 1
                print(json.dumps({"seed": seed, "alarms": found, "command": " ".join(arguments)}), flush=True)
    finally:
        if given is not None:
            given.down()
        shutil.rmtree(folder, ignore_errors=True)
    line = {"proof": "clean", "first_seed": asked.first_seed, "runs": sum(scenarios.values()), "alarms": alarmed,
            "scenarios": scenarios, "seconds": round(time.monotonic() - began)}  # fmt: skip
    print(json.dumps(line))
    return 1 if alarmed else 0


if __name__ == "__main__":
    sys.exit(main())
