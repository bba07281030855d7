"""Every scenario against the server: outcomes, audit and events, exact.

    scenarios   each at three sizes: tasks as counted here, every event of the log accounted for, the audit
    dags        random DAGs of up to 50 steps, maps and failures among them, several to a database
    own-flow    flows as pgflow's compiler emits them, unedited: alone, mixed, failing, under an open load; with
                conditions where this pgflow has them

Each for the pinned pgflow and for those of --pgflow, versions or directories of migrations; --only takes a part of
`scenarios` or `own-flow`, by name. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

MOST_STEPS = 50
AT_ONCE = 20  # DAGs of one database
RUNS_OF_EACH = 2
ONCE = ("--repetitions", "1", "--warmup", "0", "--workers", "2", "--events", "wal", "--timeout", "120")

# Per scenario: three sizes as they are typed, with the tasks that they have.
SIZES: dict[str, tuple[tuple[str, int], ...]] = {
    "single-flow": (("--steps 1", 1), ("--steps 60", 60), ("--steps 400", 400)),
    "concurrent-flows": (
        ("--flows 1 --steps 1", 1),
        ("--flows 6 --runs 20 --steps 5", 100),
        ("--flows 40 --runs 100 --steps 5", 500),
    ),
    "chain": (("--depth 1 --runs 1", 1), ("--depth 7 --runs 10", 70), ("--depth 30 --runs 20", 600)),
    "fan": (("--width 1 --runs 1", 3), ("--width 8 --runs 10", 100), ("--width 60 --runs 8", 496)),
    "map": (
        ("--elements 0 --runs 4", 8),
        ("--elements 12 --levels 3 --runs 4", 152),
        ("--elements 150 --source run --reduce no --runs 4", 600),
    ),
    "retries": (
        ("--runs 4 --base-delay 0", 20),
        ("--runs 40 --base-delay 0 --failure-probability 0.3", 200),
        ("--runs 60 --base-delay 1 --attempts 2 --failure-probability 0.15 --steps 8", 540),
    ),
    "definition": (("--flows 1", 0), ("--flows 30 --steps 4", 0), ("--flows 20 --steps 40 --dependencies 10", 0)),
    "mix": (
        ("--runs 12 -p weights=chain:1,map:1,fan:1 -p map.elements=4 -p chain.depth=2 -p fan.width=2", 48),
        ("--runs 40 --deal zipf:1 -p weights=chain:1,retries:1 -p chain.depth=5 -p retries.base-delay=0", 200),
        ("--runs 60 --in-flight 8 -p weights=fan:2,map:1 -p fan.width=4 -p map.elements=9 -p map.source=run", 440),
    ),
}

FLOWS = Path(__file__).resolve().parents[1] / "tests" / "data" / "flows"
# Per file of theirs, or several: sizes as they are typed, with the tasks that they have.
OWN: dict[str, tuple[tuple[str, int], ...]] = {
    "fulfil_order.sql": (
        ("--runs 1", 7),
        ("--runs 60 --flows 3", 420),
        ("--runs 40 --creation single --completion pipeline --failure-probability 0.1 --failing-runs 0.1", 280),
        ("--rate 50 --duration 2s --payload 1000", 700),
    ),
    "crawl_site.sql": (
        ("--runs 3 --elements 0", 9),
        ("--runs 20 --elements 7", 340),
        ("--runs 4 --elements 60 --failure-probability 0.01", 492),
    ),
    "sync_accounts.sql": (
        ("--runs 1 --elements 1", 4),
        ("--runs 30 --elements 5 --creation pipeline", 240),
        ("--runs 12 --elements 4 --failure-probability 0.15 --failing-runs 0.2", 84),
    ),
    "fulfil_order.sql:2,crawl_site.sql:1,sync_accounts.sql:1": (
        ("--runs 4 --flows 3 --elements 2", 14 + 7 + 5),
        ("--runs 80 --flows 9 --elements 3", 280 + 180 + 120),
        ("--runs 40 --flows 4 --elements 3 --in-flight 6 --failing-runs 0.1", 140 + 90 + 60),
    ),
    "route_ticket.sql": (("--runs 1", 3), ("--runs 50 --payload 300", 150), ("--runs 50 --rate 25", 150)),
}
WITH_CONDITIONS = "route_ticket.sql"


def measure(*arguments: str) -> dict[str, Any]:
    """One run of the tool: what came of it."""
    with tempfile.TemporaryDirectory(prefix="pgflow-stress-prove-") as folder:
        output = Path(folder, "r.json")
        command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *arguments, *ONCE, "--json", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if not output.exists():
            return {"exit_code": done.returncode, "held": False, "said": done.stderr[-500:]}
        repetition = json.loads(output.read_text())["repetitions"][0]
    tasks, events = repetition["tasks"], repetition["events"]
    counted = tasks["completed"] + tasks["failed"] + tasks["abandoned"]
    return {
        "exit_code": done.returncode,
        "tasks": tasks,
        "events": sum(events["expected"].values()),
        "differences": {one["name"]: one["count"] for one in events["differences"]},
        "checks": len(repetition["audit"]["checks"]),
        "held": done.returncode == 0
        and repetition["audit"]["ok"]
        and events["expected"] == _less_doubled(events)
        and events["missing"] == events["duplicate"] == events["unexpected"] == 0
        and counted == tasks["expected"],
    }


def _less_doubled(events: dict[str, Any]) -> dict[str, int]:
    """What was received; as expected where pgflow itself sent something twice, which is a difference of its own."""
    doubled = any(one["name"] == "doubled by pgflow" for one in events["differences"])
    return dict(events["expected"] if doubled else events["received"])


def scenarios(pgflow: str, _seed: int, only: str = "") -> Iterator[dict[str, Any]]:
    """Each at three sizes."""
    for scenario, sizes in SIZES.items():
        if only not in scenario:
            continue
        for typed, tasks in sizes:
            found = measure(scenario, *typed.split(), "--pgflow", pgflow)
            exact = scenario == "mix" or found.get("tasks", {}).get("expected") == tasks
            yield {"scenario": scenario, "size": typed, **found, "held": found["held"] and exact}


def dags(pgflow: str, seed: int, count: int = 200) -> Iterator[dict[str, Any]]:
    """Random ones."""
    randomly = random.Random(seed)
    for first in range(0, count, AT_ONCE):
        made = [random_dag(randomly) for _ in range(min(AT_ONCE, count - first))]
        text = ";".join(dag for dag, _ in made)
        options = ["--flows", str(len(made)), "--runs", str(RUNS_OF_EACH * len(made)), "--seed", str(seed + first)]
        failing = ["--failure-probability", "0.02", "--failing-runs", "0.1", "--base-delay", "0", "--attempts", "2"]
        found = measure("dag", "--dag", text, *options, *failing, "--pgflow", pgflow)
        tasks = RUNS_OF_EACH * sum(own for _, own in made)
        exact = found.get("tasks", {}).get("expected") == tasks
        yield {"dags": len(made), "first": first, **found, "held": found["held"] and exact}


def own_flows(pgflow: str, seed: int, only: str = "") -> Iterator[dict[str, Any]]:
    """Each file at each size."""
    for files, sizes in OWN.items():
        if only not in files or (files == WITH_CONDITIONS and not has_conditions(pgflow)):
            continue
        paths = ",".join(str(FLOWS / file) for file in files.split(","))
        for typed, tasks in sizes:
            found = measure("--flow", paths, *typed.split(), "--pgflow", pgflow, "--seed", str(seed))
            exact = found.get("tasks", {}).get("expected") == tasks
            yield {"flow": files, "size": typed, **found, "held": found["held"] and exact}


def has_conditions(pgflow: str) -> bool:
    """Whether this pgflow has them: told by its migrations, of a version by its number."""
    folder = Path(pgflow)
    if folder.is_dir():
        return any("when_unmet" in path.read_text() for path in folder.rglob("*.sql"))
    major, minor, *_ = map(int, pgflow.split("-", maxsplit=1)[0].split("."))
    return (major, minor) >= (0, 14)


def random_dag(randomly: random.Random) -> tuple[str, int]:
    """A flow as `run dag` reads it, and its tasks: counted here, by pgflow's rules alone."""
    elements_of: list[int | None] = []  # of what a step gives its dependants; None: nobody has asked yet
    words, tasks, of_input = [], 0, randomly.choice((0, 1, 2, 5))
    for index in range(randomly.randint(1, MOST_STEPS)):
        earlier = list(range(max(0, index - randomly.choice((1, 3, 50))), index))
        if randomly.random() < 0.2:
            source = randomly.choice(earlier) if earlier and randomly.random() < 0.8 else -1
            if source < 0:
                elements = of_input
            elif elements_of[source] is None:
                elements = elements_of[source] = randomly.choice((0, 1, 2, 4))
            else:
                elements = elements_of[source] or 0
            words.append(f"n{index}*{elements}" + (f":n{source}" if source >= 0 else ""))
            elements_of.append(elements)
            tasks += elements
            continue
        deps = sorted(randomly.sample(earlier, min(len(earlier), randomly.choice((0, 1, 1, 2, 4)))))
        words.append(f"n{index}" + (":" + ",".join(f"n{dep}" for dep in deps) if deps else ""))
        elements_of.append(None)
        tasks += 1
    return " ".join(words), tasks


def main() -> int:
    """Run the proofs asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=["scenarios", "dags", "own-flow"])
    parser.add_argument("--pgflow", action="append", default=["0.8.1"], help="another pgflow as well")
    parser.add_argument("--dags", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios or flow files with this in their name")
    given = parser.parse_args()
    held = [_prove(proof, pgflow, given) for pgflow in given.pgflow for proof in given.proofs]
    return 0 if all(held) else 1


def _prove(proof: str, pgflow: str, given: argparse.Namespace) -> bool:
    runs = {
        "scenarios": lambda: scenarios(pgflow, given.seed, given.only),
        "dags": lambda: dags(pgflow, given.seed, given.dags),
        "own-flow": lambda: own_flows(pgflow, given.seed, given.only),
    }[proof]()
    held: Sequence[bool] = [_told({"proof": proof, "pgflow": Path(pgflow).name, **found}) for found in runs]
    print(json.dumps({"proof": proof, "pgflow": Path(pgflow).name, "runs": len(held), "held": all(held)}), flush=True)
    return all(held)


def _told(found: dict[str, Any]) -> bool:
    print(json.dumps(found), flush=True)
    return bool(found["held"])


if __name__ == "__main__":
    sys.exit(main())
