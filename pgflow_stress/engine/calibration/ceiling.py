"""The ceiling inside the server: read, start_tasks and complete_task of one run's steps in PL/pgSQL, without a client.

scripts/benchmarks uses prepare() and drain() too: their SQL is ceiling.sql.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg

from pgflow_stress.core.calibration import Figure, Part
from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.ids import run_id
from pgflow_stress.engine.calibration.ground import Ground
from pgflow_stress.target.base import Database

STEPS = 1000
BATCH = 100
REPEATS = 5
_PRIME_STEPS, _PRIME_BATCH = 64, 8  # each statement eight times: the server plans it anew five times
_VT_SECONDS = 60
_OUTPUT = '{"p":"' + "x" * 24 + '"}'  # 32 bytes, as a worker's by default


@dataclass(frozen=True, slots=True)
class Drained:
    """One run of the loop."""

    tasks: int
    seconds: float

    @property
    def tasks_per_second(self) -> float:
        """The ceiling."""
        return self.tasks / self.seconds


@cache
def procedure_sql() -> str:
    """What makes pg_temp.pgflow_stress_drain."""
    return (files("pgflow_stress.engine.calibration") / "ceiling.sql").read_text(encoding="utf-8")


def measure(ground: Ground) -> Part:
    """Each repeat drains one run on a database, or a prefix, of its own; its statements are primed first."""
    drained = [_repeat(ground) for _ in range(REPEATS)]
    figures = {"tasks_per_second": Figure("1/s", tuple(one.tasks_per_second for one in drained))}
    return Part(
        figures,
        {
            "steps": STEPS,
            "batch": BATCH,
            "output_bytes": len(_OUTPUT),
            "isolation": str(ground.target.isolation),
            "transactions": "one each for read, start_tasks and complete_task of a batch",
        },
    )


def _repeat(ground: Ground) -> Drained:
    with ground.database() as (database, nonce), ground.connection(database.conninfo) as connection:
        worker = make_ready(connection, database)
        primed = start(connection, f"{database.slug_prefix}p", run_id(nonce, 1), _PRIME_STEPS)
        drain(connection, primed, worker, _PRIME_STEPS, _PRIME_BATCH)
        flow = start(connection, f"{database.slug_prefix}f0", run_id(nonce, 0), STEPS)
        return drain(connection, flow, worker, STEPS, BATCH)


def make_ready(connection: psycopg.Connection[Any], database: Database) -> uuid.UUID:
    """Make the procedure in this session and register a worker; its id."""
    connection.execute(procedure_sql().encode())
    worker = uuid.uuid4()
    connection.execute(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'pgflow-stress')",
        (worker, database.slug_prefix),
    )
    return worker


def start(connection: psycopg.Connection[Any], flow: str, run: uuid.UUID, steps: int) -> str:
    """Create a flow of independent steps and start one run of it; the flow's slug."""
    connection.execute("select from pgflow.create_flow(flow_slug => %s)", (flow,))
    connection.execute(
        "select count(a.step_index) from generate_series(0, %s - 1) as n, "
        "lateral pgflow.add_step(flow_slug => %s, step_slug => 's' || n) as a",
        (steps, flow),
    )
    connection.execute("select from pgflow.start_flow(flow_slug => %s, input => '{}', run_id => %s)", (flow, run))
    return flow


def drain(
    connection: psycopg.Connection[Any], flow: str, worker: uuid.UUID, tasks: int, batch: int, output: str = _OUTPUT
) -> Drained:
    """Work off the started tasks of a flow inside the server.

    Raises:
        RunFailed: not all of them were completed, or their run was not.
    """
    row = connection.execute(
        "call pg_temp.pgflow_stress_drain(%s, %s, %s, %s, %s, %s, 0, 0)",
        (flow, worker, tasks, batch, _VT_SECONDS, output),
    ).fetchone()
    assert row is not None
    done = Drained(int(row[0]), float(row[1] or 0))
    unfinished = connection.execute(
        "select count(*) from pgflow.runs where flow_slug = %s and status <> 'completed'", (flow,)
    ).fetchone()
    if done.tasks != tasks or unfinished is None or unfinished[0]:
        raise RunFailed(f"the loop inside the server completed {done.tasks} of {tasks} tasks of flow {flow}")
    return done
