"""Adoption: what a dead worker left is settled by its replacement, from what the database says.

pgflow 0.8.1 leaves a dead worker's claimed tasks `started` for ever. The replacement is forked only after the dead
one's backend has left pg_stat_activity, so that nothing of it can still commit; it touches only rows still `started`
under the dead one's worker id, by one statement that reads them again.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from pgflow_stress.core.arena import Arena, LedgerBit
from pgflow_stress.core.ids import split_run_id
from pgflow_stress.engine.chosen import chosen_of
from pgflow_stress.engine.driver import outputs_of, payload
from pgflow_stress.engine.orders import WorkerOrder
from pgflow_stress.engine.places import Places
from pgflow_stress.scenario.options import Orphans
from pgflow_stress_hot.account import Account

Task = tuple[uuid.UUID, str, int]  # run, step, index

# Taken in the order of the run, as every completion is.
_COMPLETE = """
select k.run_id, k.step_slug, k.task_index
from (select run_id, step_slug, task_index from pgflow.step_tasks
      where last_worker_id = %(dead)s and status = 'started'
        and (run_id, step_slug, task_index) not in (
            select * from unnest(%(runs)s::uuid[], %(slugs)s::text[], %(tasks)s::int4[]))
      order by run_id, step_slug, task_index) as k
     left join unnest(%(steps)s::text[], %(arrays)s::jsonb[]) as o(slug, output) on o.slug = k.step_slug,
     lateral pgflow.complete_task(k.run_id, k.step_slug, k.task_index, coalesce(o.output, %(output)s::jsonb)) as c
where c.status = 'completed'
"""
_AGAIN = """
select k.run_id, k.step_slug, k.task_index
from unnest(%(runs)s::uuid[], %(slugs)s::text[], %(tasks)s::int4[]) as k(run_id, step_slug, task_index)
     left join unnest(%(steps)s::text[], %(arrays)s::jsonb[]) as o(slug, output) on o.slug = k.step_slug,
     lateral pgflow.complete_task(k.run_id, k.step_slug, k.task_index, coalesce(o.output, %(output)s::jsonb)) as c
where c.status = 'completed'
"""
_FAIL = """
select k.run_id, k.step_slug, k.task_index
from (select run_id, step_slug, task_index from pgflow.step_tasks
      where last_worker_id = %(dead)s and status = 'started' order by run_id, step_slug, task_index) as k,
     lateral pgflow.fail_task(k.run_id, k.step_slug, k.task_index, 'worker lost; failed by pgflow-stress') as c
"""
_DONE = """
select run_id, step_slug, task_index from pgflow.step_tasks where last_worker_id = %(dead)s and status = 'completed'
"""
_FAILED_RUNS = "select r.run_id from pgflow.runs r where {of_r} and r.status = 'failed'"
_STARTED_RUNS = "select run_id from pgflow.runs where run_id = any(%(runs)s)"


def adopt(order: WorkerOrder, connection: Any, account: Account) -> None:
    """Settle starts and completions in doubt, then the tasks that the dead worker had claimed."""
    if order.replaces_worker_id is None:
        return
    mine = list(range(order.slot, order.work.runs, order.options.workers)) if order.starts else []
    ids = [uuid.UUID(bytes=account.run_id(run)) for run in mine]
    for (found,) in connection.execute(_STARTED_RUNS, {"runs": ids}).fetchall():
        place = split_run_id(found)
        if place is not None:
            account.settle_start(place[1])
    if order.work.failing is not None:
        _write_off(order, connection, account)
    for dead in (order.replaces_worker_id, *order.replaces_earlier):
        _adopt_from(uuid.UUID(bytes=dead), order, connection, account)


def _adopt_from(dead: uuid.UUID, order: WorkerOrder, connection: Any, account: Account) -> None:
    _settle(order, account, connection.execute(_DONE, {"dead": dead}).fetchall(), adopted=False)
    if order.options.orphans is Orphans.COMPLETE:
        _settle(order, account, complete_for(dead, order, connection), adopted=True)
    elif order.options.orphans is Orphans.FAIL:
        connection.execute(_FAIL, {"dead": dead})  # queued again by pgflow, and completed like any other


def complete_for(worker: uuid.UUID, order: WorkerOrder, connection: Any, leave: Sequence[Task] = ()) -> list[Task]:
    """Complete what is still `started` under a worker's id, each with its step's own output; but for some."""
    parameters = {"dead": worker, **_outputs(order), **_columns(leave)}
    completed: list[Task] = connection.execute(_COMPLETE, parameters).fetchall()
    return completed


def complete_again(order: WorkerOrder, connection: Any, arena: Arena) -> None:
    """Complete what others completed meanwhile for this worker, as one does that was never told of it.

    A fault that adopted a task behind its back marked it: completed twice, and so far by none of ours.
    """
    marked = (arena.ledger & (LedgerBit.TWICE | LedgerBit.COMPLETED)) == LedgerBit.TWICE
    if not marked.any():
        return
    places = Places(order.work)
    steps = {step.slug: index for index, step in enumerate(order.work.steps)}
    offsets = order.work.step_offsets()
    mine = []
    for run, slug, index in connection.execute(_DONE, {"dead": uuid.UUID(bytes=order.worker_id)}).fetchall():
        split = split_run_id(run)
        if split is None or slug not in steps or split[1] >= order.work.runs:  # of the flow that it was primed on
            continue
        if marked[int(places.first[split[1]]) + int(offsets[steps[slug]]) + index]:
            mine.append((run, slug, index))
    connection.execute(_AGAIN, {**_outputs(order), **_columns(mine)})


def _columns(tasks: Sequence[Task]) -> dict[str, Any]:
    return {"runs": [run for run, _, _ in tasks], "slugs": [slug for _, slug, _ in tasks],
            "tasks": [index for _, _, index in tasks]}  # fmt: skip


def _outputs(order: WorkerOrder) -> dict[str, Any]:
    usual = payload(order.options.payload_bytes)
    outputs = zip(order.work.steps, outputs_of(order.work, order.options.payload_bytes), strict=True)
    arrays = {step.slug: output[1:].decode() for step, output in outputs if output != usual}  # that maps are over
    return {"output": usual[1:].decode(), "steps": list(arrays), "arrays": list(arrays.values())}


def _write_off(order: WorkerOrder, connection: Any, account: Account) -> None:
    """Book failed runs: nobody else knows of those that the dead worker failed without hearing so."""
    nonce, _ = split_run_id(uuid.UUID(bytes=order.first_run_id)) or (0, 0)
    query = sql.SQL(_FAILED_RUNS).format(**chosen_of(order.work, order.slug_prefix, nonce).parts())
    for (run,) in connection.execute(query).fetchall():
        place = account.run_index(run.bytes)
        if place >= 0:
            account.fail_run(place)


def _settle(order: WorkerOrder, account: Account, rows: list[tuple[uuid.UUID, str, int]], *, adopted: bool) -> None:
    steps = {step.slug: index for index, step in enumerate(order.work.steps)}
    for run, step_slug, task_index in rows:
        place = account.run_index(run.bytes)
        if place >= 0 and step_slug in steps:  # else of the flow it was primed on
            account.settle(place, steps[step_slug], task_index, adopted)
