"""The audit after each repetition: pgflow's invariants as SQL, and expected against completed by id.

Only flows of the repetition are looked at (their slugs begin with its prefix and "f"). Each query returns a row an
offence; it returns none on good, half-done and failed runs alike, but for what its name says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from pgflow_stress.core.arena import LedgerBit
from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Audit, Check
from pgflow_stress.engine.copying import triples
from pgflow_stress.scenario.flow import FlowShape

MOST_IDS = 10_000  # of one check kept in a result
MOST_ERRORS = 20  # of failed tasks, told apart
MOST_ERROR_CHARACTERS = 200
OTHER_ERRORS = "other errors"

_STEPS = """
select r.run_id::text from pgflow.runs r left join pgflow.step_states s using (run_id)
where starts_with(r.flow_slug, {prefix}) group by r.run_id
having count(s) <> (select count(*) from pgflow.steps p where p.flow_slug = r.flow_slug)
    or r.remaining_steps <> count(s) filter (where s.status not in ('completed', 'skipped'))
    or r.status <> 'failed' and (r.status = 'completed') <> (r.remaining_steps = 0)
"""
_TASKS = """
select s.run_id || ' ' || s.step_slug from pgflow.step_states s
left join pgflow.step_tasks k using (run_id, step_slug)
where starts_with(s.flow_slug, {prefix}) group by s.run_id, s.step_slug
having s.remaining_tasks <> count(k) filter (where k.status <> 'completed')
    or s.status in ('started', 'completed') and s.initial_tasks <> count(k)
    or s.status = 'created' and count(k) > 0 or max(k.task_index) <> count(k) - 1
"""
_DEPS = """
select c.run_id || ' ' || c.step_slug from pgflow.step_states c
left join pgflow.deps d using (flow_slug, step_slug)
left join pgflow.step_states p on p.run_id = c.run_id and p.step_slug = d.dep_slug
where starts_with(c.flow_slug, {prefix}) and c.status <> 'skipped' group by c.run_id, c.step_slug
having c.remaining_deps <> count(p) filter (where p.status not in ('completed', 'skipped'))
    or c.started_at is not null and c.remaining_deps > 0
"""
_ATTEMPTS = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
join pgflow.steps d using (flow_slug, step_slug) join pgflow.flows w using (flow_slug)
where starts_with(k.flow_slug, {prefix})
  and ((k.status = 'completed') <> (k.completed_at is not null) or k.status <> 'queued' and k.attempts_count < 1
    or k.attempts_count > greatest(1, coalesce(d.opt_max_attempts, w.opt_max_attempts)) + {requeued})
"""
_OUTPUTS = """
select r.run_id::text from pgflow.runs r
where starts_with(r.flow_slug, {prefix}) and r.status = 'completed' and r.output is distinct from (
    select jsonb_object_agg(x.step_slug, x.o) from (
        select s.step_slug, case d.step_type
            when 'map' then
                coalesce(jsonb_agg(k.output order by k.task_index) filter (where k.run_id is not null), '[]')
            else jsonb_agg(k.output) -> 0 end as o
        from pgflow.step_states s join pgflow.steps d using (flow_slug, step_slug)
        left join pgflow.step_tasks k using (run_id, step_slug)
        where s.run_id = r.run_id and s.status = 'completed'
          and not exists (select from pgflow.deps e where e.flow_slug = s.flow_slug and e.dep_slug = s.step_slug)
        group by s.step_slug, d.step_type) x)
"""
_FINISHED_RUNS = """
select r.run_id::text from pgflow.runs r
where starts_with(r.flow_slug, {prefix}) and r.status = 'started'
  and not exists (select from pgflow.step_tasks k where k.run_id = r.run_id and k.status <> 'completed')
  and not exists (select from pgflow.step_states s where s.run_id = r.run_id and s.status <> 'completed')
"""
_QUEUES = "select flow_slug from pgflow.flows where starts_with(flow_slug, {prefix}) order by 1"
_MESSAGES = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
join pgflow.runs r using (run_id) left join {queue} q on q.msg_id = k.message_id
left join {archive} a on a.msg_id = k.message_id
where k.flow_slug = {flow} and {asked}
  and (num_nonnulls(q.msg_id, a.msg_id) <> 1
    or (a.msg_id is not null) <> (k.status in ('completed', 'failed') or r.status = 'failed')
    or a.read_ct < k.attempts_count)
"""
_STRAYS = """
select 'message ' || m.msg_id from (select msg_id from {queue} union all select msg_id from {archive}) m
where not exists (select from pgflow.step_tasks where message_id = m.msg_id and flow_slug = {flow})
"""
# The last 58 bits of a run's id are its index; the step's index is its place in the flow.
_COMPLETED = """
copy (select ('x' || right(replace(k.run_id::text, '-', ''), 15))::bit(60)::bigint & {mask}, p.step_index::int4,
             k.task_index::int4
      from pgflow.step_tasks k join pgflow.steps p using (flow_slug, step_slug)
      where starts_with(k.flow_slug, {prefix}) and k.status = {status}) to stdout (format binary)
"""
# An error's first line says what failed; what follows, and where, differs with each task.
_FAILURES = """
select left(split_part(coalesce(nullif(error_message, ''), 'no message'), E'\n', 1), {length}), count(*)
from pgflow.step_tasks where starts_with(flow_slug, {prefix}) and status = 'failed'
group by 1 order by 2 desc, 1
"""
_FOREIGN_RUNS = """
select run_id::text from pgflow.runs where starts_with(flow_slug, {prefix}) and not starts_with(run_id::text, {ours})
"""


@dataclass(frozen=True, slots=True)
class AuditInput:
    """What the database is held against."""

    slug_prefix: str
    nonce: int
    shape: FlowShape
    expected_tasks: int  # of the runs started
    ledger: npt.NDArray[np.uint8]  # of LedgerBit, a byte a task in order of run, step, task
    whole: bool  # whether every started run was to be finished: else what is left is no offence


@dataclass(frozen=True, slots=True)
class Found:
    """The audit, and what the outcomes need of it."""

    audit: Audit
    completed: int  # tasks completed in the database
    failed: int  # tasks that failed for good
    abandoned: int  # left over of runs that failed
    reached: bool = True  # whether the database could be asked
    failures: dict[str, int] = field(default_factory=dict)  # error, its first line: tasks that failed for good of it


def audit(connection: psycopg.Connection[Any], given: AuditInput) -> Found:
    """Check every invariant in one snapshot.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        return _Auditor(connection, given).run()


class _Auditor:
    def __init__(self, connection: psycopg.Connection[Any], given: AuditInput) -> None:
        self._connection = connection
        self._given = given
        self._prefix = sql.Literal(given.slug_prefix + "f")
        columns = self._execute(
            "select attname from pg_attribute where attrelid = 'pgflow.step_tasks'::regclass and attnum > 0"
        )
        names = {name for (name,) in columns}
        self._requeued = sql.SQL("k.requeued_count" if "requeued_count" in names else "0")
        self._asked = sql.SQL("k.permanently_stalled_at is null" if "permanently_stalled_at" in names else "true")

    def _execute(self, query: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def _offences(self, text: str, **parts: Any) -> list[str]:
        composed = sql.SQL(text).format(prefix=self._prefix, **parts)
        return [row[0] for row in self._execute(composed)]

    def run(self) -> Found:
        given = self._given
        done = self._tasks_by_status("completed")
        checks = [
            *self._by_id(done),
            _check("run ids are ours", self._foreign_runs()),
            _check("runs: steps and remaining_steps", self._offences(_STEPS)),
            _check("steps: tasks and remaining_tasks", self._offences(_TASKS)),
            _check("steps: dependencies and remaining_deps", self._offences(_DEPS)),
            _check("tasks: attempts and completed_at", self._offences(_ATTEMPTS, requeued=self._requeued)),
            _check("runs: whose every step is completed are completed", self._offences(_FINISHED_RUNS)),
            _check("runs: output is that of the leaf steps", self._offences(_OUTPUTS)),
            *self._messages(),
        ]
        failed = int(np.count_nonzero(self._tasks_by_status("failed")))
        abandoned = self._abandoned()
        return Found(
            Audit(all(check.ok for check in checks), tuple(checks)),
            int(np.count_nonzero(done[: given.expected_tasks] if given.whole else done)),
            failed,
            abandoned,
            failures=self._failures() if failed else {},
        )

    def _foreign_runs(self) -> list[str]:
        first_bits = str(run_id(self._given.nonce, 0))[
            :20
        ]  # 64 bits of nonce but 4, which share a digit with the variant
        return self._offences(_FOREIGN_RUNS, ours=sql.Literal(first_bits))

    def _tasks_by_status(self, status: str) -> npt.NDArray[np.bool_]:
        """bool[tasks]: which of the tasks have this status in the database."""
        given = self._given
        found = np.zeros(len(given.ledger), dtype=bool)
        offsets = np.array(given.shape.step_offsets(), dtype=np.int64)
        per_run = given.shape.tasks_per_run
        query = sql.SQL(_COMPLETED).format(
            prefix=self._prefix, status=sql.Literal(status), mask=sql.Literal((1 << 58) - 1)
        )
        for rows in triples(self._connection, query):
            runs, steps = rows["first"], rows["second"].astype(np.int64)
            known = (steps < len(offsets)) & (runs * per_run < len(found))
            places = runs[known] * per_run + offsets[steps[known]] + rows["third"][known]
            found[places[places < len(found)]] = True
        return found

    def _by_id(self, done: npt.NDArray[np.bool_]) -> Iterable[Check]:
        given = self._given
        told = (given.ledger & LedgerBit.COMPLETED) > 0
        yield _check("tasks acknowledged as completed are completed", self._ids(told & ~done))
        yield _check("tasks completed were acknowledged to a worker", self._ids(done & ~told))
        if given.whole:
            missing = ~done
            expected, found = given.expected_tasks, int(np.count_nonzero(done))
            ids = self._ids(missing) if expected == len(done) else []
            yield Check("every expected task is completed", expected == found, expected, found, tuple(ids))

    def _ids(self, offending: npt.NDArray[np.bool_]) -> list[str]:
        shape = self._given.shape
        offsets = np.array(shape.step_offsets(), dtype=np.int64)
        names = []
        for place in np.flatnonzero(offending)[:MOST_IDS].tolist():
            run, rest = divmod(place, shape.tasks_per_run)
            step = int(np.searchsorted(offsets, rest, side="right")) - 1
            names.append(f"{run_id(self._given.nonce, run)} {shape.steps[step].slug} {rest - int(offsets[step])}")
        total = int(np.count_nonzero(offending))
        return names if total <= MOST_IDS else [*names, f"and {total - MOST_IDS} more"]

    def _messages(self) -> Iterable[Check]:
        wrong: list[str] = []
        stray: list[str] = []
        for (flow,) in self._execute(sql.SQL(_QUEUES).format(prefix=self._prefix)):
            parts = {
                "queue": sql.Identifier("pgmq", f"q_{flow}"),
                "archive": sql.Identifier("pgmq", f"a_{flow}"),
                "flow": sql.Literal(flow),
            }
            wrong += self._offences(_MESSAGES, asked=self._asked, **parts)
            stray += [f"{flow} {row}" for row in self._offences(_STRAYS, **parts)]
        yield _check("messages: one a task, archived when it is finished", wrong)
        yield _check("messages: none without a task", stray)

    def _failures(self) -> dict[str, int]:
        """The commonest errors, and how many tasks failed of others."""
        query = sql.SQL(_FAILURES).format(prefix=self._prefix, length=sql.Literal(MOST_ERROR_CHARACTERS))
        found = {str(error): int(count) for error, count in self._execute(query)}
        kept = dict(list(found.items())[:MOST_ERRORS])
        others = sum(found.values()) - sum(kept.values())
        return {**kept, OTHER_ERRORS: others} if others else kept

    def _abandoned(self) -> int:
        query = sql.SQL(
            "select count(*) from pgflow.step_tasks k join pgflow.runs r using (run_id) "
            "where starts_with(k.flow_slug, {prefix}) and r.status = 'failed' "
            "and k.status not in ('completed', 'failed')"
        ).format(prefix=self._prefix)
        return int(self._execute(query)[0][0])


def _check(name: str, offences: list[str]) -> Check:
    return Check(name, not offences, 0, len(offences), tuple(offences[:MOST_IDS]))


def skipped(why: str) -> Found:
    """The audit where there was none: nothing was checked, and so nothing holds."""
    return Found(Audit(False, (Check(why, False, None, None),)), 0, 0, 0, reached=False)
