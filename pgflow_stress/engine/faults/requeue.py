"""Tasks of a worker that stands still, given to another by pgflow's own requeue_stalled_tasks (since 0.13.2)."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.faults.base import PROOF_SECONDS, Blow, Fault, Ground, Missed
from pgflow_stress.engine.faults.stop_worker import stop_with_tasks

_THERE = "select to_regprocedure('pgflow.requeue_stalled_tasks()') is not null"
# Time is moved, not waited for: pgflow takes a task for stalled after its flow's time-out and half a minute.
_AGE = """
update pgflow.step_tasks k set queued_at = k.queued_at - w.span, started_at = k.started_at - w.span
from (select flow_slug, opt_timeout * interval '1 second' + interval '31 seconds' as span from pgflow.flows) as w
where w.flow_slug = k.flow_slug and k.last_worker_id = %(worker)s and k.status = 'started'
    and starts_with(k.flow_slug, %(flows)s)
returning k.run_id, k.step_slug, k.task_index
"""
_REQUEUE = "select pgflow.requeue_stalled_tasks()"
_TAKEN = """
select count(*) from unnest(%(runs)s::uuid[], %(steps)s::text[], %(tasks)s::int4[]) as u(run_id, step_slug, task_index)
join pgflow.step_tasks k using (run_id, step_slug, task_index) where k.status = 'completed'
"""


def _strike(ground: Ground, blow: Blow) -> None:
    with ground.connect() as connection:
        if connection.execute(_THERE.encode()).fetchone() != (True,):
            raise Missed("this pgflow has no requeue_stalled_tasks")
        with ground.a_worker_alone() as region:
            pid = ground.word(region, Word.PID)
            try:
                _requeue(ground, blow, connection, region, pid)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


def _requeue(ground: Ground, blow: Blow, connection: Any, region: int, pid: int) -> None:
    slot = ground.slot_of(region)
    parameters = {"worker": ground.crew.worker_id(region), "flows": ground.slug_prefix + "f"}
    _, stopped_ns = stop_with_tasks(ground, connection, region, pid)
    blow.struck(f"worker {slot}", slot, stopped_ns)
    with connection.transaction():
        aged = connection.execute(_AGE, parameters).fetchall()
        row = connection.execute(_REQUEUE.encode()).fetchone()
    if not row or not row[0]:
        raise Missed("its tasks were done before they could be requeued")
    blow.held(pid=pid, requeued=row[0], ids=[f"{run} {step} {task}" for run, step, task in aged])
    ground.until(lambda: _completed(connection, aged) == len(aged), PROOF_SECONDS)
    blow.held(completed_by_others=_completed(connection, aged))


def _completed(connection: Any, tasks: list[tuple[Any, str, int]]) -> int:
    runs, steps, indexes = zip(*tasks, strict=True)
    row = connection.execute(_TAKEN, {"runs": list(runs), "steps": list(steps), "tasks": list(indexes)}).fetchone()
    return int(row[0])


REQUEUE_STALLED = Fault(
    "requeue-stalled", "SIGSTOP of a worker whose tasks pgflow 0.13.2 and later then gives to another as stalled",
    _strike,
)  # fmt: skip
