"""Races of pgflow's own, stops, adoptions and crashes, each provoked in a run: seen, named by the tool, survived.

A line of JSON a case and version: what was seen of it, and how the result names it. Where a version does not have the
race, that is what its line shows. 0.8.1, and the directories of migrations that are given with --pgflow; --case NAME
for some, --times N for each so often with other seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
MOST_SECONDS = 180
COMMON = ("--workers", "2", "--repetitions", "1", "--warmup", "0", "--client-delay", "500")


def _old(version: str) -> bool:
    """Of 0.8: before fail_task took its locks in the order of complete_task, and complete_task looked first."""
    return version.startswith("0.8")


def _incidents(repetition: Json, kind: str) -> list[str]:
    return [f"{one['subject']}: {one['detail']}" for one in repetition["incidents"] if one["kind"] == kind]


def _fault(repetition: Json) -> Json:
    return dict(repetition["faults"][0])


def _doubled(repetition: Json, *, suffix: str) -> list[str]:
    found = [one for one in repetition["events"].get("differences", ()) if one["name"] == "doubled by pgflow"]
    return [event for one in found for event in one["ids"] if event.endswith(suffix)]


def _deadlock_in_map(repetition: Json, version: str) -> tuple[bool, str]:
    named = _incidents(repetition, "deadlock of pgflow's own locks")
    if _old(version):
        return _fault(repetition)["took_hold"] and bool(named), "; ".join(named)
    why = _fault(repetition)["why"]
    return not named and why.startswith("no deadlock with this pgflow"), why


def _deadlock_in_batches(repetition: Json, _version: str) -> tuple[bool, str]:
    named = _incidents(repetition, "deadlock of pgflow's own locks")
    return _fault(repetition)["took_hold"] and bool(named), "; ".join(named)


def _two_failures(repetition: Json, _version: str) -> tuple[bool, str]:
    twice = _doubled(repetition, suffix=" run:failed")
    return bool(twice), f"doubled by pgflow: {len(twice)}, {', '.join(twice[:2])}"


def _requeued(repetition: Json, version: str) -> tuple[bool, str]:
    fault, named = _fault(repetition), _incidents(repetition, "requeued by pgflow")
    if _old(version):
        return not named and "has no requeue_stalled_tasks" in fault["why"], fault["why"]
    work = repetition["work"]
    seen = fault["took_hold"] and work["attempts_for_nothing"] == fault["proof"]["requeued"]
    return seen and bool(named), f"{'; '.join(named)}; {work['completed_again']} completed again"


def _read_again(repetition: Json, _version: str) -> tuple[bool, str]:
    proof, work = _fault(repetition)["proof"], repetition["work"]
    seen = _fault(repetition)["took_hold"] and proof["outlasted_vt"] and work["messages_read_again"] > 0
    ids = ", ".join(work["read_again_ids"][:2])
    return seen and work["completed_again"] == 0, f"{work['messages_read_again']} messages read again: {ids}"


def _completed_again(repetition: Json, version: str) -> tuple[bool, str]:
    adopted = sum(fault["proof"].get("tasks_adopted", 0) for fault in repetition["faults"])
    again = repetition["work"]["completed_again"]
    twice = len(_doubled(repetition, suffix=":completed"))
    exact = 0 < adopted == again and twice == (adopted if _old(version) else 0)
    return exact, f"{adopted} adopted, {again} completed again, {twice} events doubled by pgflow"


def _losses(repetition: Json) -> list[Json]:
    return [check for check in repetition["audit"]["checks"] if "acknowledged and lost" in check["name"]]


def _nothing_lost(repetition: Json, _version: str) -> tuple[bool, str]:
    crashes = [one for one in repetition["faults"] if one["took_hold"] and one["proof"]["recovered_from_crash"]]
    lost = sum(check["found"] for check in _losses(repetition))
    named = f"{len(crashes)} crashes, {repetition['tasks']['completed']} completed, {lost} lost"
    return bool(crashes) and lost == 0, named


def _lost_as_allowed(repetition: Json, _version: str) -> tuple[bool, str]:
    losses, named = _losses(repetition), _incidents(repetition, "acknowledged and lost")
    bounded = bool(losses) and all(check["ok"] and 0 < check["found"] == check["expected"] for check in losses)
    return bounded and bool(named), "; ".join(named)


@dataclass(frozen=True)
class Case:
    """One race, how it is provoked, and what is to be seen of it."""

    name: str
    what: str
    arguments: tuple[str, ...]
    judge: Callable[[Json, str], tuple[bool, str]]


_RUNS = ("concurrent-flows", "--flows", "2", "--runs", "200", "--steps", "4")
CASES = (
    Case(
        "deadlock-in-map", "fail_task and complete_task on one map step: each has a lock that the other wants",
        ("map", "--flows", "2", "--runs", "40", "--elements", "20", "--completion", "single", "--poll-size", "10",
         "--fault", "deadlock-in-map@300ms"), _deadlock_in_map,
    ),
    Case(
        "deadlock-in-batches", "two batches of completions over the same runs in opposite orders",
        ("concurrent-flows", "--flows", "1", "--runs", "200", "--steps", "4", "--completion", "batch",
         "--poll-size", "20", "--fault", "deadlock-in-batches@300ms"), _deadlock_in_batches,
    ),
    Case(
        "two-final-failures", "two tasks of a run fail for good at once",
        ("retries", "--flows", "1", "--runs", "80", "--steps", "6", "--attempts", "1", "--failure-probability", "0.4",
         "--failing-runs", "0.5", "--completion", "single", "--poll-size", "1", "--events", "wal",
         "--fault", "lock-run@every 250ms:150ms"), _two_failures,
    ),
    Case(
        "requeued", "tasks of a worker that stands still are given to another by requeue_stalled_tasks",
        (*_RUNS, "--completion", "single", "--fault", "requeue-stalled@300ms"), _requeued,
    ),
    Case(
        "read-again", "a worker stands still past the visibility of its messages",
        (*_RUNS, "--vt", "1", "--completion", "single", "--rate", "50", "--fault", "stop-worker@500ms:2500ms"),
        _read_again,
    ),
    Case(
        "completed-again", "the same, its backend terminated and its tasks adopted: it completes them again",
        (*_RUNS, "--vt", "1", "--completion", "single", "--rate", "50", "--events", "wal",
         "--fault", "stop-terminate-adopt@500ms:2500ms"), _completed_again,
    ),
    Case(
        "adopted-with-retries", "tasks of which some attempts fail by design, adopted while their worker stands still",
        ("retries", "--flows", "2", "--runs", "100", "--steps", "4", "--failure-probability", "0.3", "--vt", "1",
         "--completion", "single", "--rate", "40", "--events", "wal", "--fault", "stop-and-adopt@random:4/2s:700ms"),
        _completed_again,
    ),
    Case(
        "crash", "the server crashes with synchronous_commit on: nothing acknowledged is lost",
        (*_RUNS, "--in-flight", "20", "--fault", "restart-immediate@random:2/1500ms"), _nothing_lost,
    ),
    Case(
        "crash-without-synchronous-commit", "the same with off: what is lost is told by id, and bounded",
        (*_RUNS, "--in-flight", "20", "--pg-setting", "synchronous_commit=off", "--pg-setting", "wal_writer_delay=5s",
         "--pg-setting", "wal_writer_flush_after=1GB", "--fault", "restart-immediate@500ms"), _lost_as_allowed,
    ),
)  # fmt: skip


def provoke(case: Case, pgflow: str, seed: int, folder: Path) -> Json:
    """Run it once; the line of what came of it."""
    path = folder / "r.json"
    path.unlink(missing_ok=True)
    arguments = [*case.arguments, *COMMON, "--seed", str(seed), *(("--pgflow", pgflow) if pgflow else ())]
    done = subprocess.run(
        [sys.executable, "-m", "pgflow_stress.cli.main", "run", *arguments, "--json", str(path)],
        env={**os.environ, "PGFLOW_STRESS_STATE": str(folder / "state")}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
    )  # fmt: skip
    line: Json = {"case": case.name, "seed": seed, "exit": done.returncode}
    if not path.exists():
        return {**line, "held": False, "said": done.stderr.strip().splitlines()[-1:]}
    document = json.loads(path.read_text())
    repetition = document["repetitions"][0]
    version = str(document["environment"]["pgflow"]["version"] or Path(pgflow).name)
    tasks = repetition["tasks"]
    exact = tasks["expected"] == tasks["completed"] + tasks["failed"] + tasks["abandoned"]
    survived = done.returncode == 0 and exact and repetition["audit"]["ok"]
    seen, named = case.judge(repetition, version)
    line |= {"pgflow": version, "seen": seen, "survived": survived, "named": named}
    if not (seen and survived):
        line["why"] = [fault["why"] for fault in repetition["faults"]]
        line["said"] = done.stderr.strip().splitlines()[-2:]
        line["command"] = " ".join(arguments)
    return {**line, "held": seen and survived}


def main() -> int:
    """0 where every race was seen, named and survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pgflow", action="append", default=[], metavar="DIR")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    held = []
    with tempfile.TemporaryDirectory(prefix="pgflow-stress-prove-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        for case in CASES:
            if given.case and case.name not in given.case:
                continue
            for pgflow in ("", *given.pgflow):
                for number in range(given.times):
                    line = provoke(case, pgflow, given.seed + number, Path(path))
                    held.append(line["held"])
                    print(json.dumps({"proof": "races", **line}), flush=True)
    print(json.dumps({"proof": "races", "runs": len(held), "held": sum(held)}), flush=True)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
