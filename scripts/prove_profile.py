"""Whether a profile names what was planted, and adds up; one line of JSON a proof.

sum       the cost-of-a-task rows against the backends' CPU time in /proc, at 1 worker and at 2 a core: within 10 %; and
          how much more a task costs with 2 a core, with the rows that it is in
hand      what was found by hand: archive, complete_task's main statement, start_ready_steps, set-up of statements
write     planted: an indexed write in complete_task; the row that grew most is that statement in that function
burn      planted: CPU burnt in start_tasks; the row that grew most is that function's own
elsewhere the tool in a namespace of processes of its own (unshare, root): the same sum, read through SQL
cost      what it costs to be profiled: tasks/s of run and of profile in turns, written down
serialisation  one run with 1, 2 and 4 workers: the page says why it does not scale, and no rate is above what it allows
lock      planted: the row of pgflow.runs held for longer; the largest wait is for it, where it is waited for
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

from _planted import VERSION, migrations_with, tell, tool

from pgflow_stress.core.result import from_json
from pgflow_stress.report.telemetry import why_one_run_does_not_scale
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.opening import open_target

WITHIN = 0.10
HAND = {
    "archive": ("pgmq.archive", ""),
    "main statement": ("pgflow.complete_task", "WITH task AS"),
    "start_ready_steps": ("pgflow.start_ready_steps", ""),
}
LEAST_SET_UP = 0.10  # of the CPU time: executor's start alone was 22 % by perf
MOST_RANK = 5  # of functions, itself: as by hand
MOST_GROWN = 5  # rows that are told
HOLD_SECONDS = 0.002
ONE_RUN_WORKERS = (1, 2, 4)
MOST_OVER_THE_LIMIT = 1.1  # a rate is held against what the lock allows; both are measured
LEAST_WAIT_SHARE = 0.3  # of four workers' time, where they take turns
JOB = ("concurrent-flows", "--flows", 20, "--steps", 10)

_INTO_COMPLETE_TASK = """
DO $plant$ BEGIN
  EXECUTE regexp_replace(
    pg_get_functiondef('pgflow.complete_task(uuid,text,integer,jsonb)'::regprocedure),
    '\\mbegin\\M', $body$BEGIN {body}$body$, 'i');
END $plant$;
"""
_WRITE = """
CREATE TABLE pgflow.planted_writes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id uuid, step_slug text);
CREATE INDEX ON pgflow.planted_writes (run_id);
CREATE INDEX ON pgflow.planted_writes (step_slug, run_id);
""" + _INTO_COMPLETE_TASK.format(
    body="INSERT INTO pgflow.planted_writes (run_id, step_slug) "
    "SELECT complete_task.run_id, complete_task.step_slug FROM generate_series(1, 10);"
)
_BURN = """
CREATE SCHEMA planted;
ALTER FUNCTION pgflow.start_tasks(text, bigint[], uuid) SET SCHEMA planted;
CREATE FUNCTION pgflow.start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid)
RETURNS SETOF pgflow.step_task_record LANGUAGE plpgsql AS $function$
DECLARE spent bigint := 0;
BEGIN
  FOR i IN 1 .. 100000 LOOP spent := (spent + i) % 1000003; END LOOP;
  RETURN QUERY SELECT * FROM planted.start_tasks(flow_slug, msg_ids, worker_id);
END $function$;
"""
_HOLD = _INTO_COMPLETE_TASK.format(
    body="PERFORM 1 FROM pgflow.runs WHERE runs.run_id = complete_task.run_id FOR UPDATE; "
    f"PERFORM pg_sleep({HOLD_SECONDS});"
)


def profile(*arguments: object, pgflow: object = VERSION) -> dict[str, Any]:
    """One profile; the document."""
    code, document = tool("profile", *arguments, "--pgflow", pgflow, "--warmup", 1, "--no-perf")
    if code or document is None:
        raise SystemExit(f"a profile ended with {code}: nothing is proven")
    found: dict[str, Any] = document["profile"]
    return found


def _cpu(row: dict[str, Any]) -> float:
    return float(row["cpu_ns_per_task"])


def _grown(base: dict[str, Any], planted: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows by how much more they cost a task than they did, most first."""

    def key(row: dict[str, Any]) -> tuple[str, str, str]:
        return row["function"], row["statement"], row["kind"]

    was = {key(row): _cpu(row) for row in base["cost"]["rows"]}
    grown = [{**row, "grown_ns": _cpu(row) - was.get(key(row), 0.0)} for row in planted["cost"]["rows"]]
    return sorted(grown, key=lambda row: -row["grown_ns"])


def prove_sum(runs: int) -> bool:
    """Rows against the kernel's count, with one worker and saturated."""
    residuals, profiles = {}, []
    for workers in ("1", ""):
        given = ("--workers", workers) if workers else ()
        found = profile(*JOB, "--runs", runs, *given)
        profiles.append(found)
        cost = found["cost"]
        residuals[workers or "2 a core"] = {
            "residual": cost["residual_share"],
            "rows_us": cost["cpu_ns_per_task"] / 1e3,
            "backends_us": cost["backend_cpu_ns_per_task"] / 1e3,
            "busy": found["busy_share"],
            "tasks_per_second": found["process_per_second"],
        }
    held = all(abs(one["residual"]) <= WITHIN for one in residuals.values())
    alone, saturated = profiles
    more = saturated["cost"]["cpu_ns_per_task"] - alone["cost"]["cpu_ns_per_task"]
    tell(
        proof="sum", held=held, **{f"workers {name}": one for name, one in residuals.items()},
        saturated_to_alone=saturated["cost"]["cpu_ns_per_task"] / alone["cost"]["cpu_ns_per_task"],
        more_us=more / 1e3, by_kind_us=_by_kind(alone, saturated), most_in=[
            {"us": row["grown_ns"] / 1e3, "in": f"{row['function']}: {row['statement'] or row['kind']}"[:90]}
            for row in _grown(alone, saturated)[:MOST_GROWN]
        ],
    )  # fmt: skip
    return held


def _by_kind(base: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """By how much each kind of row grew, us a task."""
    kinds = sorted({row["kind"] for row in base["cost"]["rows"]})
    return {
        kind: sum(_cpu(row) for row in other["cost"]["rows"] if row["kind"] == kind) / 1e3
        - sum(_cpu(row) for row in base["cost"]["rows"] if row["kind"] == kind) / 1e3
        for kind in kinds
    }


def prove_elsewhere(runs: int) -> bool:
    """A server whose processes the tool cannot see, as on another host: its backends' CPU time comes through SQL."""
    with open_target(TargetOptions(profiled=True), lambda line: print(line, file=sys.stderr)) as target:
        conninfo = target.conninfo("postgres")  # type: ignore[attr-defined]
        code, document = tool(
            "profile", *JOB, "--runs", runs, "--warmup", 1, "--no-perf", "--dsn", conninfo, "--isolation", "clone",
            prefix=("unshare", "--pid", "--fork", "--mount-proc"),
        )  # fmt: skip
    if code or document is None:
        raise SystemExit(f"a profile ended with {code}: nothing is proven")
    found = document["profile"]
    residual, hidden = (
        found["cost"]["residual_share"],
        [line for line in found["not_seen"] if "not on this host" in line],
    )
    held = bool(hidden) and residual is not None and abs(residual) <= WITHIN
    tell(proof="elsewhere", held=held, residual=residual, busy=found["busy_share"], not_seen=found["not_seen"])
    return held


def prove_cost(runs: int, pairs: int) -> bool:
    """The same job by `run` and by `profile`, in turns; the median ratio of their rates."""
    ratios = []
    for turn in range(pairs):
        rates = {}
        for command in ("run", "profile") if turn % 2 else ("profile", "run"):
            given = ("--no-perf",) if command == "profile" else ("--repetitions", 1)
            code, document = tool(command, *JOB, "--runs", runs, "--workers", 4, "--warmup", 1, *given)
            if code or document is None:
                raise SystemExit(f"a {command} ended with {code}: nothing is proven")
            rates[command] = document["summary"]["process.per_second"]["mean"]
        ratios.append(rates["profile"] / rates["run"])
    tell(proof="cost", held=True, median=statistics.median(ratios), ratios=ratios)
    return True


def prove_hand(runs: int) -> bool:
    """The functions and the statement that were found by hand are among the first, and so is the set-up."""
    found = profile(*JOB, "--runs", runs)
    functions = [one["name"] for one in found["cost"]["functions"]]
    whole = sum(_cpu(row) for row in found["cost"]["rows"])
    seen: dict[str, Any] = {}
    for name, (function, statement) in HAND.items():
        rows = [r for r in found["cost"]["rows"] if r["function"] == function and r["statement"].startswith(statement)]
        seen[name] = {"share": sum(map(_cpu, rows)) / whole, "rank_of_function": functions.index(function) + 1}
    set_up = sum(_cpu(row) for row in found["cost"]["rows"] if row["kind"] == "around its statements") / whole
    planning = sum(_cpu(row) for row in found["cost"]["rows"] if row["kind"] == "planning") / whole
    held = set_up >= LEAST_SET_UP and all(one["rank_of_function"] <= MOST_RANK for one in seen.values())
    tell(proof="hand", held=held, set_up=set_up, planning=planning, functions=functions[: MOST_RANK + 2], **seen)
    return held


def _first_grown(sql: str, runs: int) -> tuple[dict[str, Any], float]:
    """(the row that grew most by what is planted, the residual of that profile)."""
    base = profile(*JOB, "--runs", runs)
    with migrations_with(sql) as folder:
        planted = profile(*JOB, "--runs", runs, pgflow=folder)
    return _grown(base, planted)[0], planted["cost"]["residual_share"]


def prove_write(runs: int) -> bool:
    """The write that was planted is the row that grew most."""
    first, residual = _first_grown(_WRITE, runs)
    held = first["function"] == "pgflow.complete_task" and "planted_writes" in first["statement"]
    tell(proof="write", held=held, first=first, residual=residual)
    return held


def prove_burn(runs: int) -> bool:
    """The CPU time that was planted is start_tasks' own."""
    first, residual = _first_grown(_BURN, runs)
    held = (first["function"], first["kind"]) == ("pgflow.start_tasks", "around its statements")
    tell(proof="burn", held=held, first=first, residual=residual)
    return held


def prove_lock(steps: int) -> bool:
    """The wait for a row of pgflow.runs is the largest, in the statement that locks it; held by workers' backends."""
    job = ("single-flow", "--steps", steps, "--completion", "single", "--workers", 4, "--telemetry-interval", "0.2s")
    with migrations_with(_HOLD) as folder:
        found = profile(*job, pgflow=folder)
    waits = [one for one in found["cost"]["waits"] if not one["wait"].startswith("a core")]
    first, one_run = waits[0], found["serialisation"]
    sleep = next((one for one in waits if one["wait"] == "Timeout:PgSleep"), None)
    by_workers = sum(share for who, share in found["blocked_by"].items() if who.startswith("backend of worker"))
    limit = one_run["most_per_second_of_one_run"] if one_run else 0.0
    held = (
        first["wait"] == "a lock on a row of pgflow.runs"
        and first["at"].startswith("pgflow.complete_task: ")
        and "FOR UPDATE" in first["at"].upper()
        and sleep is not None
        and "pg_sleep" in sleep["at"]
        and by_workers > 0.9
        and 0 < limit < 1.1 / HOLD_SECONDS
    )
    tell(
        proof="lock", held=held, first=first, sleep=sleep, blocked_by=found["blocked_by"], one_run=one_run,
        tasks_per_second=found["process_per_second"], residual=found["cost"]["residual_share"],
        residual_error=found["cost"]["residual_error_share"],
    )  # fmt: skip
    return held


def prove_serialisation(steps: int) -> bool:
    """One run with more and more workers: the wait grows, the rate does not, and the page says which lock it is."""
    told = []
    for workers in ONE_RUN_WORKERS:
        code, document = tool(
            "profile", "single-flow", "--steps", steps, "--workers", workers, "--completion", "single", "--warmup", 1,
            "--telemetry-interval", "0.2s", "--no-perf", "--pgflow", VERSION,
        )  # fmt: skip
        if code or document is None:
            raise SystemExit(f"a profile ended with {code}: nothing is proven")
        one, rate = document["profile"]["serialisation"] or {}, document["profile"]["process_per_second"]
        told.append({
            "workers": workers, "tasks_per_second": rate, "lock_share": one.get("wait_share"),
            "hold_us": one.get("hold_ns_per_task", 0.0) / 1e3, "most_per_second": one.get("most_per_second_of_one_run"),
            "page": why_one_run_does_not_scale(from_json(document)),
        })  # fmt: skip
    rates, shares = ([one[name] for one in told] for name in ("tasks_per_second", "lock_share"))
    held = (
        all(one["page"] for one in told)
        and all(one["tasks_per_second"] <= MOST_OVER_THE_LIMIT * one["most_per_second"] for one in told)
        and shares == sorted(shares)
        and shares[-1] >= LEAST_WAIT_SHARE
        and rates[-1] < ONE_RUN_WORKERS[-1] / 2 * rates[0]
    )
    tell(proof="serialisation", held=held, runs=told)
    return held


PROOFS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "sum": lambda given: prove_sum(given.runs),
    "elsewhere": lambda given: prove_elsewhere(given.runs),
    "cost": lambda given: prove_cost(given.runs, given.pairs),
    "hand": lambda given: prove_hand(given.runs),
    "write": lambda given: prove_write(given.runs),
    "burn": lambda given: prove_burn(given.runs),
    "serialisation": lambda given: prove_serialisation(given.steps),
    "lock": lambda given: prove_lock(given.steps),
}


def main() -> int:
    """Run the proofs that were asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=list(PROOFS), metavar="PROOF", help=", ".join(PROOFS))
    parser.add_argument("--runs", type=int, default=1000, help="of 10 steps each, a repetition")
    parser.add_argument("--steps", type=int, default=1500, help="of the one run whose lock is held")
    parser.add_argument("--pairs", type=int, default=5, help="of the cost of being profiled")
    given = parser.parse_args()
    held = [PROOFS[name](given) for name in given.proofs]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
