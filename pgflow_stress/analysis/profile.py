"""The result's `profile`: what a task costs the server and where, out of the counted repetitions' views and samples.

The views' times are wall time. What a backend was held up by in it (locks, disk, no core) is taken out of the rows that
it was in, as far as it can be placed, and told in rows of its own; what is left is CPU time, and is held against the
CPU time that the kernel says those backends used: the residual. docs/profile.md has the sum in full.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pgflow_stress.analysis.attribution import AROUND, PLANNING, STATEMENT, Attribution, Row, attribute
from pgflow_stress.analysis.limiting import host_share
from pgflow_stress.analysis.telemetry import sampled, serialisation_of, server_host_of, unseen
from pgflow_stress.core.result import Json, Repetition, Result

OUTSIDE = "outside of statements"
RUN_QUEUE = "a core: ready to run, and not run"
_ROLES = ("worker", "starter")
_ROW_LOCKS = ("Lock:tuple", "Lock:transactionid")
_ROW_OF = "Lock:row of "
_WAITS = {
    "CPU": "a page fault, or a wait that has no event",
    "Lock:transactionid": "a lock on a row, or a transaction's end",
}
_COMMIT = ("IO:Wal", "LWLock:WALWrite", "IPC:SyncRep")
_SLEEP = "Timeout:PgSleep"
_LEAST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Held:
    """What backends were held up by: ns over all repetitions, and where as far as it is known."""

    wait: str
    ns: float
    table: str = ""  # whose rows were locked


@dataclass(frozen=True, slots=True)
class Sum:
    """What several repetitions come to together, ns."""

    tasks: int
    statements: list[Json]
    functions: list[Json]
    active_ns: float | None
    samples: Counter[str]  # by "process|other active|idle runnable|blocked|unknown event"
    times: Counter[str]  # ns that these stand for
    workers: Counter[str]  # ns of workers at work: "served" by an executing backend, "not served"
    worker_process_ns: int
    cpu_ns: int | None
    run_queue_ns: int
    not_seen: tuple[str, ...]


def profile_of(result: Result) -> Json:
    """The profile as the result has it; {} where none was taken. Times in ns a task."""
    chosen = [one for one in sampled(result) if one.server.get("profile") and one.tasks.completed]
    if not chosen:
        return {}
    total = _sum(chosen)
    attribution = attribute(total.statements, total.functions)
    busy = [share for one in chosen if (share := host_share(one, "busy_share")) is not None]
    found, elsewhere = serialisation_of(result), server_host_of(result)
    rates = [rate for one in chosen if (rate := one.phases["process"].per_second)]
    return {
        "repetitions": [one.index for one in chosen],
        "tasks": total.tasks,
        "process_per_second": sum(rates) / len(rates) if rates else None,
        "busy_share": sum(busy) / len(busy) if busy else None,
        "server_busy_share": None if elsewhere is None else elsewhere.busy_share,
        "worker_time": worker_time(chosen, total),
        "cost": cost(total, attribution),
        "foreign_keys_ns_per_task": attribution.foreign_keys_ns / total.tasks,
        "serialisation": None
        if found is None
        else {
            "wait_share": found.wait_share,
            "hold_ns_per_task": found.hold_ns_per_task,
            "most_per_second_of_one_run": found.most_per_second_of_one_run,
        },
        "blocked_by": _mean_shares(one.telemetry.get("blocked_by") or {} for one in chosen),
        "plans": next((plans for one in chosen if (plans := one.server["profile"].get("plans"))), []),
        "call_graphs": next((found for one in chosen if (found := one.server["profile"].get("call_graphs"))), None),
        "not_seen": [*dict.fromkeys([*total.not_seen, *unseen(result)])],
    }


def _sum(repetitions: Sequence[Repetition]) -> Sum:
    statements: dict[Any, Json] = {}
    functions: dict[str, Json] = {}
    told = [one.server["profile"] for one in repetitions]
    for profile in told:
        for one in profile.get("statements") or ():
            _add(statements, (one["query"], one["top_level"]), one)
        for one in profile.get("functions") or ():
            _add(functions, one["name"], one)
    backends = [of for one in repetitions if (of := one.telemetry.get("backends"))]
    used = [of[role] for of in backends for role in _ROLES if role in of]
    samples: Counter[str] = Counter()
    times: Counter[str] = Counter()
    workers: Counter[str] = Counter()
    for one in repetitions:
        samples.update(one.server.get("executing_samples") or {})
        times.update(one.server.get("executing_ns") or {})
        workers.update(one.server.get("workers_ns") or {})
    active = [profile.get("active_ns") for profile in told]
    return Sum(
        tasks=sum(one.tasks.completed for one in repetitions),
        statements=list(statements.values()),
        functions=list(functions.values()),
        active_ns=None if None in active else float(sum(active)),
        samples=samples,
        times=times,
        workers=workers,
        worker_process_ns=sum(profile.get("worker_process_ns") or 0 for profile in told),
        cpu_ns=sum(of.get("cpu_ns", 0) for of in used) if used and len(backends) == len(repetitions) else None,
        run_queue_ns=sum(of.get("run_queue_ns", 0) for of in used),
        not_seen=tuple(line for profile in told for line in profile.get("not_seen") or ()),
    )


def _add(together: dict[Any, Json], key: Any, one: Json) -> None:
    so_far = together.setdefault(key, {name: 0 if _is_number(value) else value for name, value in one.items()})
    for name, value in one.items():
        if _is_number(value):
            so_far[name] += value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mean_shares(found: Iterable[Json]) -> Json:
    shares: defaultdict[str, float] = defaultdict(float)
    told = list(found)
    for one in told:
        for name, share in one.items():
            shares[name] += share / len(told)
    return dict(shares)


def worker_time(repetitions: Sequence[Repetition], total: Sum) -> Json:
    """Where the workers' time of the process phase went: the client, the server, the wire between. ns a task.

    The client's: work in hand and nothing in flight, by the cycle's own stamps; idle: polls that found nothing. The
    server's: the share of the samples in which a backend of the worker's was executing. What is left of the whole is
    the wire: messages under way, and sides that were woken and had no core yet. None where nothing was sampled.
    """
    whole = float(total.worker_process_ns)
    waited = sum(
        (one.client.get("server_waited_share") or 0.0) * one.server["profile"].get("worker_process_ns", 0)
        for one in repetitions
    )
    idle = 1e9 * sum(one.client.get("idle_seconds") or 0.0 for one in repetitions)
    seen = sum(total.workers.values())
    server = whole * total.workers["served"] / seen if seen and _samples(total.samples) else None
    wire = None if server is None else max(0.0, whole - waited - idle - server)
    parts = {"whole": whole, "client": waited, "idle": idle, "server": server, "wire": wire}
    return {f"{name}_ns_per_task": None if ns is None else ns / total.tasks for name, ns in parts.items()}


def cost(total: Sum, attribution: Attribution) -> Json:
    """The table: rows of self time, waits, and what they add up to beside the kernel's count. ns a task."""
    rows = list(attribution.rows)
    executing_ns = attribution.top_ns
    if total.active_ns is not None:
        executing_ns = total.active_ns - attribution.others_ns
        between_ns = executing_ns * _between_messages(total.times)
        rows.append(Row("", "", OUTSIDE, 0, executing_ns - attribution.top_ns + between_ns))
    wall_ns = sum(row.self_ns for row in rows)
    held = held_up(total.times, executing_ns) if _samples(total.samples) else []
    placed, where = place(rows, held)
    runnable = [row.self_ns - blocked for row, blocked in zip(rows, placed, strict=True)]
    run_queue = total.run_queue_ns if total.cpu_ns is not None and _samples(total.samples) else None
    cpu_ns = None if run_queue is None else sum(runnable) - run_queue
    factor = None if cpu_ns is None or sum(runnable) <= 0 else cpu_ns / sum(runnable)
    waits = [{"wait": one.wait, "ns_per_task": one.ns / total.tasks, "at": at} for one, at in where]
    if run_queue is not None:
        waits.append({"wait": RUN_QUEUE, "ns_per_task": run_queue / total.tasks, "at": ""})
    per_task = [_as_json(*one, factor, total.tasks) for one in zip(rows, runnable, strict=True)]
    return {
        "rows": sorted(per_task, key=lambda row: -(row["cpu_ns_per_task"] or row["wall_ns_per_task"])),
        "waits": sorted(waits, key=lambda one: -one["ns_per_task"]),
        "functions": _by_function(per_task),
        "wall_ns_per_task": wall_ns / total.tasks,
        "cpu_ns_per_task": None if cpu_ns is None else cpu_ns / total.tasks,
        "backend_cpu_ns_per_task": None if total.cpu_ns is None else total.cpu_ns / total.tasks,
        "residual_share": None if cpu_ns is None or not total.cpu_ns else 1 - cpu_ns / total.cpu_ns,
        "residual_error_share": None
        if cpu_ns is None or not total.cpu_ns
        else sampling_error(held, wall_ns, _samples(total.samples)) / total.cpu_ns,
        "unplaced": list(attribution.unplaced),
    }


def sampling_error(held: Iterable[Held], wall_ns: float, samples: int) -> float:
    """Half the 95 % interval of the waits' sum, as of independent samples: what a residual may be by it alone, ns."""
    share = sum(one.ns for one in held) / wall_ns if wall_ns > 0 else 0.0
    return 1.96 * wall_ns * math.sqrt(max(0.0, share * (1 - share)) / samples) if samples else 0.0


def _as_json(row: Row, runnable_ns: float, factor: float | None, tasks: int) -> Json:
    return {
        "function": row.function,
        "statement": row.statement,
        "kind": row.kind,
        "calls_per_task": row.calls / tasks,
        "wall_ns_per_task": row.self_ns / tasks,
        "cpu_ns_per_task": None if factor is None else runnable_ns * factor / tasks,
    }


def _by_function(rows: Iterable[Json]) -> list[Json]:
    """Each function's own: around its statements, planning them, executing them. Without the functions it calls."""
    together: dict[str, Json] = {}
    for row in rows:
        if not row["function"]:
            continue
        empty = {"name": row["function"], "calls_per_task": 0.0} | {f"{kind}_ns_per_task": 0.0 for kind in _KINDS}
        one = together.setdefault(row["function"], empty)
        measure = row["cpu_ns_per_task"] if row["cpu_ns_per_task"] is not None else row["wall_ns_per_task"]
        one[f"{_KIND_NAMES[row['kind']]}_ns_per_task"] += measure
        if row["kind"] == AROUND:
            one["calls_per_task"] = row["calls_per_task"]
    for one in together.values():
        one["self_ns_per_task"] = sum(one[f"{kind}_ns_per_task"] for kind in _KINDS)
    return sorted(together.values(), key=lambda one: -one["self_ns_per_task"])


_KIND_NAMES = {STATEMENT: "statements", PLANNING: "planning", AROUND: "around"}
_KINDS = tuple(_KIND_NAMES.values())


def _samples(samples: Counter[str]) -> int:
    """Of executing backends; too few say nothing."""
    seen = sum(count for key, count in samples.items() if key.split()[1] == "active")
    return seen if seen >= _LEAST_SAMPLES else 0


def _between_messages(times: Counter[str]) -> float:
    """Time in which a backend ran, or waited for a core, and executed nothing: it read a message, or had just answered.

    As a share of the time in which backends executed; 0 where the kernel's state could not be read.
    """
    executing = sum(ns for key, ns in times.items() if key.split()[1] == "active")
    between = sum(ns for key, ns in times.items() if key.split()[1:3] == ["idle", "runnable"])
    return between / executing if executing else 0.0


def held_up(times: Counter[str], executing_ns: float) -> list[Held]:
    """What executing backends waited for, as parts of the time that they were executing; locks on rows by table.

    Where the kernel's state could not be read a wait includes that for a core after it.
    """
    executing = sum(ns for key, ns in times.items() if key.split()[1] == "active")
    waits: Counter[str] = Counter()
    for key, ns in times.items():
        _, doing, state, event = key.split(" ", 3)
        if doing == "active" and (state == "blocked" or (state == "unknown" and event != "CPU")):
            waits["Lock:transactionid" if event in _ROW_LOCKS else event] += ns
    return [_held(event, executing_ns * ns / executing) for event, ns in waits.items()]


def _held(event: str, ns: float) -> Held:
    table = event.removeprefix(_ROW_OF) if event.startswith(_ROW_OF) else ""
    if table:
        return Held(f"a lock on a row of {table}", ns, table)
    return Held(_WAITS.get(event, event), ns)


def place(rows: Sequence[Row], held: Iterable[Held]) -> tuple[list[float], list[tuple[Held, str]]]:
    """By row, ns that its backend was held up in it; and of each wait, where that was, "" where it is spread over all.

    A lock on a row is waited for by statements that lock or update rows of its table, the slowest first; the log at
    commit, outside of statements; pg_sleep where it is written. Never more than the row's own time.
    """
    blocked = [0.0] * len(rows)
    where = []
    for one in sorted(held, key=lambda one: not (one.table or one.wait == _SLEEP or one.wait.startswith(_COMMIT))):
        places = sorted(_places(rows, one), key=lambda at: blocked[at] - rows[at].self_ns)
        left = one.ns
        for at in places:
            part = min(left, max(0.0, rows[at].self_ns - blocked[at]))
            blocked[at] += part
            left -= part
        free = [max(0.0, row.self_ns - so_far) for row, so_far in zip(rows, blocked, strict=True)]
        if left > 0 and sum(free) > 0:
            blocked = [so_far + left * room / sum(free) for so_far, room in zip(blocked, free, strict=True)]
        where.append((one, _named(rows[places[0]]) if places else ""))
    return blocked, where


def _places(rows: Sequence[Row], held: Held) -> list[int]:
    if held.wait.startswith(_COMMIT):
        return [at for at, row in enumerate(rows) if row.kind == OUTSIDE]
    if held.wait == _SLEEP:
        return [at for at, row in enumerate(rows) if row.kind == STATEMENT and "pg_sleep" in row.statement]
    if "." not in held.table:
        return []
    table = re.escape(held.table)
    locks = re.compile(rf"{table}\b.*\bfor (no key )?(update|share)|update (only )?{table}\b", re.IGNORECASE)
    return [at for at, row in enumerate(rows) if row.function and row.kind == STATEMENT and locks.search(row.statement)]


def _named(row: Row) -> str:
    return f"{row.function}: {row.statement}" if row.statement else row.function or row.kind
