"""What a server with synchronous_commit=off acknowledged and lost in a crash is taken back, and done again.

Asked of the database by id, by each worker and starter for what it did itself, when it has its connection again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import psycopg

from pgflow_stress.core.arena import Arena, Header, RunWord, Stop, Word
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.telemetry import Vital
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.orders import State, WorkerOrder
from pgflow_stress.engine.sizing import starter_regions
from pgflow_stress.target.postmaster import alive
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.clock import monotonic_ns

_LOOK_BACK_NS = 10 * NS_PER_SECOND  # more than any wal_writer_delay allows: three times 10 s at most, 0.2 s by default
_PATIENCE_SECONDS = 10.0  # for a worker that stands still
_LOOK_SECONDS = 0.002
_COMPLETED = (Status.OK, Status.ADOPTED, Status.SETTLED)

_NOT_COMPLETED = """
select c.n - 1 from unnest(%(runs)s::uuid[], %(steps)s::text[], %(tasks)s::int4[]) with ordinality
    as c(run, step, task, n)
where not exists (select from pgflow.step_tasks k where k.run_id = c.run and k.step_slug = c.step
                  and k.task_index = c.task and k.status = 'completed')
"""
_SETTING = "select current_setting('synchronous_commit'), extract(epoch from pg_postmaster_start_time())::float8"
_THERE = "select run_id from pgflow.runs where run_id = any(%(runs)s)"
_START = "select from pgflow.start_flow(flow_slug => %s, run_id => %s, input => %s::jsonb)"


def lost_since(connection: psycopg.Connection[Any], birth_ns: int) -> int:
    """When the server was started anew after a process was born, having acknowledged what a crash may lose; else 0.

    Args:
        birth_ns: CLOCK_MONOTONIC, as what is returned; the server is on this host.
    """
    row = connection.execute(_SETTING).fetchone()
    if row is None or row[0] != "off":
        return 0
    started_ns = monotonic_ns() - (time.time_ns() - int(row[1] * NS_PER_SECOND))
    return started_ns if started_ns > birth_ns else 0


def wait_until_all_have(arena: Arena, order: WorkerOrder, crashed_ns: int) -> None:
    """Wait for the other workers: a task that one of them has not taken back yet is not to be done again before."""
    arena.vitals[order.region, Vital.TAKEN_BACK_NS] = monotonic_ns()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(_has_not(arena, region, crashed_ns) for region in range(starter_regions(arena.size).start)):
        if time.monotonic() > deadline or arena.header[Header.STOP] >= Stop.NOW:
            return
        time.sleep(_LOOK_SECONDS)


def _has_not(arena: Arena, region: int, crashed_ns: int) -> bool:
    words = arena.words[region]
    at_work = State.PRIMED <= words[Word.STATE] < State.PROCESSED and words[Word.BIRTH_NS] < crashed_ns
    return bool(at_work) and arena.vitals[region, Vital.TAKEN_BACK_NS] < crashed_ns and alive(int(words[Word.PID]))


def take_back(arena: Arena, order: WorkerOrder, connection: psycopg.Connection[Any], account: Account) -> None:
    """Completions that this process was told of and the database does not know: not completed any more."""
    parts = [rows[_is_recent(rows)] for rows in arena.read_rows(order.region)]
    rows = np.concatenate(parts) if parts else None
    if rows is None or not len(rows):
        return
    steps = order.work.steps
    parameters = {
        "runs": [uuid.UUID(bytes=account.run_id(int(run))) for run in rows["run_index"]],
        "steps": [steps[int(step)].slug for step in rows["step_index"]],
        "tasks": [int(task) for task in rows["task_index"]],
    }
    for (place,) in connection.execute(_NOT_COMPLETED, parameters).fetchall():
        row = rows[int(place)]
        account.take_back(int(row["run_index"]), int(row["step_index"]), int(row["task_index"]), int(row["done_ns"]))


def _is_recent(rows: Any) -> Any:
    done = (rows["operation"] == Operation.TASK) & np.isin(rows["status"], _COMPLETED)
    return done & (rows["done_ns"] > (int(rows["done_ns"].max()) - _LOOK_BACK_NS if len(rows) else 0))


def recently_started(arena: Arena, runs: Iterable[int]) -> list[int]:
    """Those of these runs that were started not long before the last one of all."""
    started = arena.runs[:, RunWord.STARTED_NS]
    since_ns = int(started.max(initial=0)) - _LOOK_BACK_NS
    return [run for run in runs if started[run] and started[run] > since_ns]


def start_again(
    connection: psycopg.Connection[Any],
    account: Account,
    runs: Sequence[int],
    flows: Sequence[bytes],
    inputs: Sequence[bytes],
) -> None:
    """Start those of these runs that the database does not know, under their own ids."""
    ids = {run: uuid.UUID(bytes=account.run_id(run)) for run in runs}
    there = {found for (found,) in connection.execute(_THERE, {"runs": list(ids.values())}).fetchall()}
    for run, run_id in ids.items():
        if run_id not in there:
            flow = account.flow_of(run)
            connection.execute(_START, (flows[flow].decode(), run_id, inputs[flow][1:].decode()))
