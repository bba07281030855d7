"""What faults did to a repetition: each with its proof and its recovery, and the work done twice or for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from pgflow_stress.core.arena import Arena, LedgerBit
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.result import Check, Incident, Json, Phase
from pgflow_stress.engine.crew import Crew
from pgflow_stress.engine.faults.base import Blow
from pgflow_stress.engine.faults.recovery import Stamps, recovery
from pgflow_stress.engine.sizing import starter_regions

_COMPLETED = (Status.OK, Status.ADOPTED, Status.SETTLED)
_MOST_IDS = 20
_FIRST_IDS = 3
_QUEUES_AT_ONCE = 200

_QUEUES = "select queue_name from pgmq.meta where starts_with(queue_name, %(flows)s) order by 1"
_READ_AGAIN = """
with m as ({messages}), r as (
    select m.read_ct - greatest(k.attempts_count, 1) as again, k.run_id, k.step_slug, k.task_index
    from m join pgflow.step_tasks k on k.message_id = m.msg_id and k.flow_slug = m.flow_slug
    where m.read_ct > greatest(k.attempts_count, 1)
)
select count(*), coalesce(sum(again), 0)::bigint,
    coalesce((array_agg(run_id || ' ' || step_slug || ' ' || task_index order by again desc))[1:{most}], '{{}}') from r
"""
_HAS_REQUEUES = """
select exists (select from pg_attribute where attrelid = 'pgflow.step_tasks'::regclass and attname = 'requeued_count')
"""
_REQUEUED = """
select coalesce(sum(requeued_count), 0)::bigint,
    coalesce((array_agg(run_id || ' ' || step_slug || ' ' || task_index order by run_id, step_slug, task_index)
              filter (where requeued_count > 0))[1:20], '{}')
from pgflow.step_tasks where starts_with(flow_slug, %(flows)s)
"""
_ATTEMPTS = """
select coalesce(sum(attempts_count), 0)::bigint, count(*) filter (where status = 'completed')
from pgflow.step_tasks where starts_with(flow_slug, %(flows)s)
"""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a repetition's result says of its faults; empty where none was asked for."""

    faults: tuple[Json, ...] = ()
    work: Json = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    losses: Check | None = None  # where completions that had been acknowledged were lost


NO_AFTERMATH = Aftermath()


def aftermath(
    arena: Arena, crew: Crew, blows: Sequence[Blow], process: Phase, origin_ns: int, redone: Json
) -> Aftermath:
    """Of a repetition whose window is over.

    Args:
        redone: what `read_redone` found.
    """
    done_ns, by_slot = _completions(arena, crew)
    begin_ns = origin_ns + (process.from_ns or 0)
    faults = [_fault(blow, origin_ns, begin_ns, done_ns, by_slot) for blow in blows]
    by_design = int((arena.ledger >> 4).sum())  # failed attempts: the ledger's upper four bits
    wasted = int(redone.get("attempts", 0)) - int(redone.get("tasks_completed", 0)) - by_design
    again = int(np.count_nonzero(arena.ledger & LedgerBit.TWICE))
    work = {**redone, "attempts_for_nothing": max(0, wasted), "completed_again": again}
    done = process.count + again + work["attempts_for_nothing"]
    work["goodput_per_second"] = process.per_second
    work["throughput_per_second"] = done / process.seconds if process.seconds else None
    return Aftermath(tuple(faults), work)


def requeued_incidents(work: Json) -> list[Incident]:
    """One line of the result where pgflow itself gave tasks to another worker."""
    count, ids = work.get("requeued_by_pgflow", 0), work.get("requeued_ids", [])
    if not count:
        return []
    first = ", ".join(ids[:_FIRST_IDS]) + (", …" if len(ids) > _FIRST_IDS else "")
    return [Incident("requeued by pgflow", 0, f"{count} times", f"{first}; taken for stalled, and claimed again")]


def _fault(blow: Blow, origin_ns: int, begin_ns: int, done_ns: Stamps, by_slot: dict[int, Stamps]) -> Json:
    spec = blow.strike.spec

    def since_origin(stamp_ns: int) -> int | None:
        return stamp_ns - origin_ns if stamp_ns else None

    found: Json = {
        "number": blow.strike.number,
        "name": spec.name,
        "spec": spec.text,
        "subject": blow.subject,
        "due_seconds": blow.strike.at_seconds,
        "at_ns": since_origin(blow.struck_ns),
        "held_ns": since_origin(blow.held_ns),
        "ended_ns": since_origin(blow.ended_ns),
        "took_hold": blow.took_hold,
        "why": blow.why,
        "proof": blow.proof if blow.took_hold else {},
        "recovery": None,
    }
    if blow.took_hold:
        of_subject = None if blow.slot is None else by_slot.get(blow.slot, done_ns[:0])
        found["recovery"] = recovery(done_ns, of_subject, begin_ns, blow.struck_ns, blow.held_ns)
    return found


def _completions(arena: Arena, crew: Crew) -> tuple[Stamps, dict[int, Stamps]]:
    """Completions' answers in order, of all and by slot; adopted ones are nobody's work but the adopter's."""
    by_slot: dict[int, list[Stamps]] = {}
    for region in range(starter_regions(arena.size).start):
        for rows in arena.read_rows(region):
            is_one = (rows["operation"] == Operation.TASK) & np.isin(rows["status"], _COMPLETED)
            by_slot.setdefault(crew.slot_of(region), []).append(rows["done_ns"][is_one].astype(np.int64))
    slots = {slot: np.sort(np.concatenate(parts)) for slot, parts in by_slot.items()}
    every = np.concatenate([*slots.values(), np.zeros(0, dtype=np.int64)])
    return np.sort(every), slots


def read_redone(connection: psycopg.Connection[Any], slug_prefix: str) -> Json:
    """What the database says was read again and claimed for nothing, within the caller's snapshot.

    Raises:
        psycopg.Error: it cannot be read.
    """
    flows = {"flows": slug_prefix + "f"}
    queues = [queue for (queue,) in connection.execute(_QUEUES.encode(), flows).fetchall()]
    messages, reads = 0, 0
    ids: list[str] = []
    for first in range(0, len(queues), _QUEUES_AT_ONCE):
        query = sql.SQL(_READ_AGAIN).format(
            messages=sql.SQL(" union all ").join(map(_messages, queues[first : first + _QUEUES_AT_ONCE])),
            most=sql.Literal(_MOST_IDS),
        )
        row = connection.execute(query).fetchone()
        if row is not None:
            messages, reads, ids = messages + row[0], reads + row[1], [*ids, *row[2]]
    attempts, completed = connection.execute(_ATTEMPTS.encode(), flows).fetchone() or (0, 0)
    requeued, requeued_ids = 0, []
    if connection.execute(_HAS_REQUEUES.encode()).fetchone() == (True,):
        requeued, requeued_ids = connection.execute(_REQUEUED.encode(), flows).fetchone() or (0, [])
    return {
        "requeued_by_pgflow": int(requeued),
        "requeued_ids": requeued_ids,
        "messages_read_again": int(messages),
        "reads_again": int(reads),
        "read_again_ids": ids[:_MOST_IDS],
        "attempts": int(attempts),
        "tasks_completed": int(completed),
    }


def _messages(queue: str) -> sql.Composed:
    parts = [
        sql.SQL("select msg_id, read_ct, {queue} as flow_slug from {table}").format(
            queue=sql.Literal(queue), table=sql.Identifier("pgmq", f"{kind}_{queue}")
        )
        for kind in ("q", "a")
    ]
    return sql.SQL(" union all ").join(parts)
