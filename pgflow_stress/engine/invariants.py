"""pgflow's invariants as SQL, over any flows of any database: a query a check, a row an offence.

Each is linear in the rows of its flows, and returns none on good, half-done, failed and skipped runs alike, in any
snapshot. They hold for every supported version of pgflow: what an older one lacks is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from pgflow_stress.core.result import Check
from pgflow_stress.engine.chosen import Chosen
from pgflow_stress.target.capabilities import STATUSES

MOST_IDS = 10_000  # of one check kept in a result

_UNKNOWN = """
select {table}, {alias}.status, count(*), array_agg(distinct {alias}.run_id::text)
from {rows} {alias} where {of} and {alias}.status <> all({known}) group by 2
"""

_STEPS = """
select r.run_id::text from pgflow.runs r left join pgflow.step_states s using (run_id)
where {of_r} group by r.run_id
having count(s) <> (select count(*) from pgflow.steps p where p.flow_slug = r.flow_slug)
    or r.remaining_steps <> count(s) filter (where s.status not in ('completed', 'skipped'))
    or r.status <> 'failed' and (r.status = 'completed') <> (r.remaining_steps = 0)
"""
_TASKS = """
select s.run_id || ' ' || s.step_slug from pgflow.step_states s
left join pgflow.step_tasks k using (run_id, step_slug)
where {of_s} group by s.run_id, s.step_slug
having s.remaining_tasks <> count(k) filter (where k.status <> 'completed')
    or s.status in ('started', 'completed') and s.initial_tasks <> count(k)
    or s.status = 'created' and count(k) > 0 or max(k.task_index) <> count(k) - 1
"""
_DEPS = """
select c.run_id || ' ' || c.step_slug from pgflow.step_states c
left join pgflow.deps d using (flow_slug, step_slug)
left join pgflow.step_states p on p.run_id = c.run_id and p.step_slug = d.dep_slug
where {of_c} and c.status <> 'skipped' group by c.run_id, c.step_slug
having c.remaining_deps <> count(p) filter (where p.status not in ('completed', 'skipped'))
    or c.started_at is not null and c.remaining_deps > 0
"""
# pgflow starts a step in the transaction that completes the last it waits for.
_READY = """
select c.run_id || ' ' || c.step_slug from pgflow.step_states c join pgflow.runs r using (run_id)
left join pgflow.deps d on d.flow_slug = c.flow_slug and d.step_slug = c.step_slug
left join pgflow.step_states p on p.run_id = c.run_id and p.step_slug = d.dep_slug
where {of_c} and c.status = 'created' and r.status = 'started' group by c.run_id, c.step_slug
having count(d.dep_slug) = count(p) filter (where p.status in ('completed', 'skipped'))
"""
_ATTEMPTS = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
join pgflow.steps d using (flow_slug, step_slug) join pgflow.flows w using (flow_slug)
where {of_k}
  and ((k.status = 'completed') <> (k.completed_at is not null) or k.status <> 'queued' and k.attempts_count < 1
    or k.attempts_count > greatest(1, coalesce(d.opt_max_attempts, w.opt_max_attempts)) + {requeued})
"""
_RUN_TIMES = """
select r.run_id::text from pgflow.runs r
where {of_r} and ((r.status = 'completed') <> (r.completed_at is not null)
    or (r.status = 'failed') <> (r.failed_at is not null))
"""
# Not those of failed runs: a completion that waited for the failure still counts its step down.
_STEP_TIMES = """
select s.run_id || ' ' || s.step_slug from pgflow.step_states s join pgflow.runs r using (run_id)
where {of_s} and r.status <> 'failed' and ((s.status = 'completed') <> (s.completed_at is not null)
    or (s.status = 'failed') <> (s.failed_at is not null) or s.status = 'started' and s.started_at is null
    or s.status = 'created' and s.started_at is not null)
"""
_TASK_TIMES = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
where {of_k} and ((k.status = 'failed') <> (k.failed_at is not null) or k.status = 'started' and k.started_at is null)
"""
_FINISHED_RUNS = """
select r.run_id::text from pgflow.runs r
where {of_r} and r.status = 'started'
  and not exists (select from pgflow.step_tasks k where k.run_id = r.run_id and k.status <> 'completed')
  and not exists (select from pgflow.step_states s where s.run_id = r.run_id and s.status <> 'completed')
"""
_OUTPUTS = """
select r.run_id::text from pgflow.runs r
where {of_r} and r.status = 'completed' and r.output is distinct from (
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
# Of versions that keep a step's output beside those of its tasks (0.13).
_STEP_OUTPUTS = """
select s.run_id || ' ' || s.step_slug from pgflow.step_states s join pgflow.steps d using (flow_slug, step_slug)
left join pgflow.step_tasks k on k.run_id = s.run_id and k.step_slug = s.step_slug
where {of_s} and s.status = 'completed' group by s.run_id, s.step_slug, d.step_type
having coalesce(s.output, 'null') <> case d.step_type
    when 'map' then coalesce(jsonb_agg(k.output order by k.task_index) filter (where k.run_id is not null), '[]')
    else coalesce(jsonb_agg(k.output) -> 0, 'null') end
"""
_QUEUES = """
select lower(w.flow_slug), array_agg(w.flow_slug order by w.flow_slug),
       bool_and(to_regclass(format('pgmq.%I', 'q_' || lower(w.flow_slug))) is not null
                and to_regclass(format('pgmq.%I', 'a_' || lower(w.flow_slug))) is not null)
from pgflow.flows w group by 1 having bool_or({flows_w}) order by 1
"""
_MESSAGES = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
join pgflow.runs r using (run_id) join pgflow.step_states s using (run_id, step_slug)
left join {queue} q on q.msg_id = k.message_id left join {archive} a on a.msg_id = k.message_id
where k.flow_slug = any({flows}) and {of_k} and s.status::text <> 'skipped' and {asked}
  and (num_nonnulls(q.msg_id, a.msg_id) <> 1
    or (a.msg_id is not null) <> (k.status in ('completed', 'failed') or r.status = 'failed')
    or a.read_ct < k.attempts_count)
"""
_MISLABELLED = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
join (select msg_id, message from {queue} union all select msg_id, message from {archive}) m
    on m.msg_id = k.message_id
where k.flow_slug = any({flows}) and {of_k} and (m.message ->> 'run_id' is distinct from k.run_id::text
    or m.message ->> 'step_slug' is distinct from k.step_slug
    or coalesce(m.message ->> 'task_index', '0') <> k.task_index::text)
"""
_STRAYS = """
select m.msg_id from (select msg_id, message from {queue} union all select msg_id, message from {archive}) m
where {of_messages} and not exists (
    select from pgflow.step_tasks where message_id = m.msg_id and flow_slug = any({flows}))
"""

_ANYWHERE = (
    ("runs: steps and remaining_steps", _STEPS),
    ("steps: tasks and remaining_tasks", _TASKS),
    ("steps: dependencies and remaining_deps", _DEPS),
    ("steps: whose every dependency is done are started", _READY),
    ("tasks: attempts and completed_at", _ATTEMPTS),
    ("runs: times agree with the status", _RUN_TIMES),
    ("steps: times agree with the status", _STEP_TIMES),
    ("tasks: times agree with the status", _TASK_TIMES),
    ("runs: whose every step is completed are completed", _FINISHED_RUNS),
    ("runs: output is that of the leaf steps", _OUTPUTS),
)
_OF_STEP_OUTPUTS = "steps: output is that of their tasks"
_OF_QUEUES = "queues: every flow has one"
_OF_MESSAGES = "messages: one a task, archived when it is finished"
_OF_LABELS = "messages: each names its task"
_OF_STRAYS = "messages: none without a task"
INVARIANTS = (
    *(name for name, _ in _ANYWHERE),
    _OF_STEP_OUTPUTS,
    _OF_QUEUES,
    _OF_MESSAGES,
    _OF_LABELS,
    _OF_STRAYS,
)  # every name that there is; the first of the last five only where pgflow keeps such outputs


class Invariants:
    """The checks over what was chosen, within the caller's snapshot."""

    def __init__(self, connection: psycopg.Connection[Any], chosen: Chosen) -> None:
        """Nothing is read yet but which columns there are."""
        self._connection = connection
        self.unknown_statuses: dict[str, int] = {}  # "step_states: paused": how many rows
        self.unjudged = self._look_for_unknown(chosen)  # runs that have such a row: what it means is not known
        self._of = chosen.but(self.unjudged).parts()
        tasks, states = self._columns("step_tasks"), self._columns("step_states")
        self._parts = {
            "requeued": sql.SQL("k.requeued_count" if "requeued_count" in tasks else "0"),
            "asked": sql.SQL("k.permanently_stalled_at is null" if "permanently_stalled_at" in tasks else "true"),
        }
        self._step_outputs = "output" in states

    def _look_for_unknown(self, chosen: Chosen) -> list[str]:
        runs: set[str] = set()
        parts = chosen.parts()
        for alias, (table, known) in zip("rsk", STATUSES.items(), strict=True):
            query = sql.SQL(_UNKNOWN).format(
                table=sql.Literal(table),
                alias=sql.Identifier(alias),
                rows=sql.Identifier("pgflow", table),
                of=parts[f"of_{alias}"],
                known=sql.Literal(sorted(known)),
            )
            for name, status, count, with_it in self._connection.execute(query).fetchall():
                self.unknown_statuses[f"{name}: {status}"] = int(count)
                runs.update(with_it)
        return sorted(runs)

    def _columns(self, table: str) -> set[str]:
        rows = self._connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0", (f"pgflow.{table}",)
        ).fetchall()
        return {name for (name,) in rows}

    def query(self, text: str, **parts: Any) -> sql.Composed:
        """A query in which the chosen rows of an alias a are those where {of_a}, of flows and steps {flows_a}."""
        return sql.SQL(text).format(**self._of, **self._parts, **parts)

    def rows(self, text: str, **parts: Any) -> list[tuple[Any, ...]]:
        """Its rows."""
        return self._connection.execute(self.query(text, **parts)).fetchall()

    def offences(self, text: str, **parts: Any) -> list[str]:
        """Their first column."""
        return [str(row[0]) for row in self.rows(text, **parts)]

    def checks(self) -> Iterator[Check]:
        """Each of INVARIANTS that this version of pgflow can be asked."""
        for name, text in _ANYWHERE:
            yield offended(name, self.offences(text))
        if self._step_outputs:
            yield offended(_OF_STEP_OUTPUTS, self.offences(_STEP_OUTPUTS))
        yield from self._messages()

    def _messages(self) -> Iterable[Check]:
        absent: list[str] = []
        wrong: list[str] = []
        labels: list[str] = []
        stray: list[str] = []
        for queue, flows, there in self.rows(_QUEUES):  # slugs that differ in case alone share one
            if not there:
                absent += flows
                continue
            parts = {
                "queue": sql.Identifier("pgmq", f"q_{queue}"),
                "archive": sql.Identifier("pgmq", f"a_{queue}"),
                "flows": sql.Literal(flows),
            }
            wrong += self.offences(_MESSAGES, **parts)
            labels += self.offences(_MISLABELLED, **parts)
            stray += [f"{flows[0]} message {row}" for row in self.offences(_STRAYS, **parts)]
        yield offended(_OF_QUEUES, absent)
        yield offended(_OF_MESSAGES, wrong)
        yield offended(_OF_LABELS, labels)
        yield offended(_OF_STRAYS, stray)


def offended(name: str, offences: Sequence[str]) -> Check:
    """The check that nothing offends."""
    return Check(name, not offences, 0, len(offences), tuple(offences[:MOST_IDS]))
