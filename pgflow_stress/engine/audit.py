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
from pgflow_stress.engine.places import Places, expected_outcomes
from pgflow_stress.scenario.workload import Workload

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
# Likewise, with the attempts in the last four bits of the second.
_COMPLETED_ATTEMPTS = """
copy (select ('x' || right(replace(k.run_id::text, '-', ''), 15))::bit(60)::bigint & {mask},
             (p.step_index * 16 + least(k.attempts_count, 15))::int4, k.task_index::int4
      from pgflow.step_tasks k join pgflow.steps p using (flow_slug, step_slug)
      where starts_with(k.flow_slug, {prefix}) and k.status = 'completed') to stdout (format binary)
"""
_FAILED_RUNS = """
copy (select ('x' || right(replace(r.run_id::text, '-', ''), 15))::bit(60)::bigint & {mask}, 0::int4, 0::int4
      from pgflow.runs r where starts_with(r.flow_slug, {prefix}) and r.status = 'failed') to stdout (format binary)
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
    work: Workload
    started: npt.NDArray[np.bool_]  # of each run, whether it was started
    ledger: npt.NDArray[np.uint8]  # of LedgerBit, a byte a task in order of run, step, task
    whole: bool  # whether every started run was to be finished: else what is left is no offence
    by_design: bool = True  # whether what fails is what the seed says: not where a worker was lost with tasks in hand


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
        self._places = Places(given.work)
        self._outcomes = expected_outcomes(given.work, self._places)
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
        done = self._tasks_by_status("completed")
        failed = self._tasks_by_status("failed")
        failed_runs = self._failed_runs()
        checks = [
            *self._by_id(done),
            *self._as_designed(failed, failed_runs),
            _check("run ids are ours", self._foreign_runs()),
            _check("runs: steps and remaining_steps", self._offences(_STEPS)),
            _check("steps: tasks and remaining_tasks", self._offences(_TASKS)),
            _check("steps: dependencies and remaining_deps", self._offences(_DEPS)),
            _check("tasks: attempts and completed_at", self._offences(_ATTEMPTS, requeued=self._requeued)),
            _check("runs: whose every step is completed are completed", self._offences(_FINISHED_RUNS)),
            _check("runs: output is that of the leaf steps", self._offences(_OUTPUTS)),
            *self._messages(),
        ]
        of_failed_runs = self._places.of_runs(failed_runs)
        return Found(
            Audit(all(check.ok for check in checks), tuple(checks)),
            int(np.count_nonzero(done)),
            int(np.count_nonzero(failed)),
            int(np.count_nonzero(of_failed_runs & ~done & ~failed)),
            failures=self._failures() if failed.any() else {},
        )

    def _failed_runs(self) -> npt.NDArray[np.bool_]:
        """bool[runs]: which failed in the database."""
        found = np.zeros(self._given.work.runs, dtype=bool)
        query = sql.SQL(_FAILED_RUNS).format(prefix=self._prefix, mask=sql.Literal((1 << 58) - 1))
        for rows in triples(self._connection, query):
            runs = rows["first"].astype(np.int64)
            found[runs[runs < len(found)]] = True
        return found

    def _as_designed(self, failed: npt.NDArray[np.bool_], failed_runs: npt.NDArray[np.bool_]) -> Iterable[Check]:
        given, outcomes = self._given, self._outcomes
        if outcomes is None or not (given.whole and given.by_design):
            return
        wrong = failed_runs != (outcomes.failing_runs & given.started)
        expected = int(np.count_nonzero(outcomes.failing_runs & given.started))
        ids = tuple(str(run_id(given.nonce, int(run))) for run in np.flatnonzero(wrong)[:MOST_IDS])
        yield Check("runs fail as the seed decides", not wrong.any(), expected, int(np.count_nonzero(failed_runs)), ids)
        yield _check(
            "tasks that failed were to fail, one for good in each failed run",
            self._ids(
                (failed & (outcomes.failed_attempts == 0))
                | self._places.first_of_runs(failed_runs & ~self._places.runs_with(failed & outcomes.doomed))
            ),
        )
        yield _check("tasks completed at the attempt that the seed decides", self._ids(self._wrong_attempts()))

    def _wrong_attempts(self) -> npt.NDArray[np.bool_]:
        """bool[tasks]: completed ones whose count of attempts is not what the seed says."""
        assert self._outcomes is not None
        wrong = np.zeros(self._places.tasks, dtype=bool)
        for places, attempts in self._placed(_COMPLETED_ATTEMPTS, packed=True):
            wrong[places] = attempts != self._outcomes.failed_attempts[places] + 1
        return wrong

    def _foreign_runs(self) -> list[str]:
        first_bits = str(run_id(self._given.nonce, 0))[
            :20
        ]  # 64 bits of nonce but 4, which share a digit with the variant
        return self._offences(_FOREIGN_RUNS, ours=sql.Literal(first_bits))

    def _tasks_by_status(self, status: str) -> npt.NDArray[np.bool_]:
        """bool[tasks]: which of the tasks have this status in the database."""
        found = np.zeros(self._places.tasks, dtype=bool)
        for places, _ in self._placed(_COMPLETED, status=sql.Literal(status)):
            found[places] = True
        return found

    def _placed(
        self, text: str, *, packed: bool = False, **parts: Any
    ) -> Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """(places of tasks of ours, what is packed with the index of their step) of a query, in parts."""
        query = sql.SQL(text).format(prefix=self._prefix, mask=sql.Literal((1 << 58) - 1), **parts)
        for rows in triples(self._connection, query):
            runs, second, tasks = (rows[name].astype(np.int64) for name in ("first", "second", "third"))
            steps, more = (second // 16, second % 16) if packed else (second, second)
            places = self._places.of_tasks(runs, steps, tasks)
            yield places[places >= 0], more[places >= 0]

    def _by_id(self, done: npt.NDArray[np.bool_]) -> Iterable[Check]:
        given = self._given
        told = (given.ledger & LedgerBit.COMPLETED) > 0
        yield _check("tasks acknowledged as completed are completed", self._ids(told & ~done))
        yield _check("tasks completed were acknowledged to a worker", self._ids(done & ~told))
        if given.whole:
            runs = given.started
            if self._outcomes is not None:
                runs = runs & ~(self._outcomes.failing_runs if given.by_design else self._failed_runs())
            wanted = self._places.of_runs(runs)
            expected, found = int(np.count_nonzero(wanted)), int(np.count_nonzero(done & wanted))
            ids = self._ids(wanted & ~done)
            yield Check("every expected task is completed", expected == found, expected, found, tuple(ids))

    def _ids(self, offending: npt.NDArray[np.bool_]) -> list[str]:
        places = np.flatnonzero(offending)
        names = [self._places.name(self._given.nonce, place) for place in places[:MOST_IDS].tolist()]
        return names if len(places) <= MOST_IDS else [*names, f"and {len(places) - MOST_IDS} more"]

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


def _check(name: str, offences: list[str]) -> Check:
    return Check(name, not offences, 0, len(offences), tuple(offences[:MOST_IDS]))


def skipped(why: str) -> Found:
    """The audit where there was none: nothing was checked, and so nothing holds."""
    return Found(Audit(False, (Check(why, False, None, None),)), 0, 0, 0, reached=False)
