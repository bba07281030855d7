"""The old benchmark's way: steps added one by one, one poll for everything, completions ten at a time.

A rendering in Python of the statements that the old Node script sent, as the script itself was never published as a
package: psycopg on ten connections, a thread each. Its server time is the script's; its client time is psycopg's.
Left out is what made its figures wrong rather than slow: grants inside the timed window.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.result import Json
from pgflow_stress.engine.calibration.ground import on_cpus
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.engine.rivals.base import VT_SECONDS, Figures, Job, connect, register
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress_hot.clock import monotonic_ns

CONNECTIONS = 10  # COMPLETION_BATCH_SIZE of the old script
_Task = tuple[Any, str, int]


class Legacy:
    """End to end, creation included, as the old script's total was."""

    metrics = ("end_to_end.per_second", "create.per_second")

    def about(self) -> Json:
        """What it is."""
        return {
            "what": "the old script's statements by psycopg: add_step awaited one by one, one poll for all, "
            f"complete_task {CONNECTIONS} at a time, each ten awaited",
            "connections": CONNECTIONS,
            "psycopg": psycopg.__version__,
        }

    def drive(self, job: Job) -> Figures:
        """Create, start, poll once, complete by tens."""
        with contextlib.ExitStack() as opened:
            opened.enter_context(on_cpus(job.cpus("worker")))
            pool = [opened.enter_context(connect(job.database.conninfo)) for _ in range(CONNECTIONS)]
            for connection in pool:
                pin_backend(connection.info.backend_pid, job.cpus("postgres"))
            worker = register(pool[0], job)
            began = monotonic_ns()
            _create(pool[0], job)
            created = monotonic_ns()
            pool[0].execute("select * from pgflow.start_flow(%s, '{}'::jsonb, %s)", (job.flow, job.run))
            tasks = _poll(pool[0], job, worker)
            _complete(pool, tasks, job.output)
            ended = monotonic_ns()
        return {
            "end_to_end.per_second": job.steps * 1e9 / (ended - began),
            "create.per_second": job.steps * 1e9 / (created - began),
        }


def _create(connection: psycopg.Connection[Any], job: Job) -> None:
    connection.execute("select * from pgflow.create_flow(%s)", (job.flow,))
    for step in range(job.steps):
        connection.execute("select * from pgflow.add_step(%s, %s)", (job.flow, f"s{step}"))


def _poll(connection: psycopg.Connection[Any], job: Job, worker: object) -> list[_Task]:
    read = connection.execute("select msg_id from pgmq.read(%s, %s, %s)", (job.flow, VT_SECONDS, job.steps)).fetchall()
    started = connection.execute(
        "select run_id, step_slug, task_index from pgflow.start_tasks(%s, %s, %s)",
        (job.flow, [row[0] for row in read], worker),
    ).fetchall()
    if len(started) != job.steps:
        raise RunFailed(f"the old script's one poll started {len(started)} of {job.steps} tasks")
    return [(run, str(step), int(index)) for run, step, index in started]


def _complete(pool: list[psycopg.Connection[Any]], tasks: list[_Task], output: str) -> None:
    def one(connection: psycopg.Connection[Any], task: _Task) -> None:
        connection.execute("select * from pgflow.complete_task(%s, %s, %s, %s::jsonb)", (*task, output))

    with ThreadPoolExecutor(len(pool)) as threads:
        for first in range(0, len(tasks), len(pool)):
            ten = tasks[first : first + len(pool)]
            list(threads.map(one, pool[: len(ten)], ten))


def rival(_options: RunOptions, _wants_tls: bool) -> Legacy:
    """It needs nothing."""
    return Legacy()
