"""The audit after each repetition: pgflow's invariants, and the plan against what is there, by id.

Only flows of the repetition are looked at (their slugs begin with its prefix and "f"). Each check returns an id an
offence; it returns none on good, half-done and failed runs alike, but for what its name says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from pgflow_stress.core.arena import LedgerBit
from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Audit, Check
from pgflow_stress.engine.copying import triples
from pgflow_stress.engine.driver import payload_sql
from pgflow_stress.engine.invariants import INVARIANTS, MOST_IDS, Invariants, offended
from pgflow_stress.scenario.flow import FlowShape

_PREFIX = "starts_with({slug}, {prefix})"
# The last 58 bits of a run's id are its index; the step's index is its place in the flow.
_INDEX = "(('x' || right(replace({run_id}::text, '-', ''), 15))::bit(60)::bigint & {mask})"
_WITH_STATUS = """
copy (select {index}, p.step_index::int4, k.task_index::int4
      from pgflow.step_tasks k join pgflow.steps p using (flow_slug, step_slug)
      where {of_k} and k.status = {status}) to stdout (format binary)
"""
_FOREIGN_RUNS = "select r.run_id::text from pgflow.runs r where {of_r} and not starts_with(r.run_id::text, {ours})"
_MISPLACED_RUNS = """
select r.run_id::text from pgflow.runs r
where {of_r} and ({index} >= {runs} or r.flow_slug <> {prefix} || lpad(({index} % {flows})::text, {width}, '0'))
"""
# What is not there of a definition, or is and should not be.
_DEFINITIONS = """
with planned as (
    select {prefix} || lpad(f::text, {width}, '0') as flow_slug, u.s as step_slug, u.n - 1 as step_index,
           u.k as step_type, u.d::text[] as deps
    from generate_series(0, {flows} - 1) as f,
         unnest({slugs}::text[], {kinds}::text[], {deps}::text[]) with ordinality as u(s, k, d, n)
), defined as (
    select s.flow_slug, s.step_slug, s.step_index, s.step_type, s.deps_count,
           coalesce(array_agg(p.step_slug order by p.step_index) filter (where p.step_slug is not null), '{{}}') as deps
    from pgflow.steps s left join pgflow.deps d using (flow_slug, step_slug)
    left join pgflow.steps p on p.flow_slug = s.flow_slug and p.step_slug = d.dep_slug
    where {of_s} group by s.flow_slug, s.step_slug
)
select flow_slug || ' ' || step_slug from planned full join defined d using (flow_slug, step_slug)
where {whole} and d.step_index is null or planned.step_index is null or d.step_index <> planned.step_index
    or d.step_type <> planned.step_type or d.deps <> planned.deps or d.deps_count <> cardinality(planned.deps)
"""
_INPUTS = "select r.run_id::text from pgflow.runs r where {of_r} and r.input <> {body}"
_SENT_OUTPUTS = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
where {of_k} and k.status = 'completed' and k.output is distinct from {body}
"""
_ABANDONED = """
select count(*) from pgflow.step_tasks k join pgflow.runs r using (run_id)
where {of_k} and r.status = 'failed' and k.status not in ('completed', 'failed')
"""

_ACKNOWLEDGED = "tasks acknowledged as completed are completed"
_UNACKNOWLEDGED = "tasks completed were acknowledged to a worker"
_EVERY_TASK = "every expected task is completed"
_OURS = "run ids are ours"
_PLACED = "runs: each is one of the plan's, in its flow"
_DEFINED = "flows: steps and dependencies are the plan's"
_GIVEN = "runs: input is what was given"
_SENT = "tasks: output is what was sent"
AUDIT_CHECKS = (_ACKNOWLEDGED, _UNACKNOWLEDGED, _EVERY_TASK, _OURS, _PLACED, _DEFINED, _GIVEN, _SENT, *INVARIANTS)


@dataclass(frozen=True, slots=True)
class AuditInput:
    """What the database is held against."""

    slug_prefix: str
    nonce: int
    shape: FlowShape
    expected_tasks: int  # of the runs started
    ledger: npt.NDArray[np.uint8]  # of LedgerBit, a byte a task in order of run, step, task
    whole: bool  # whether every started run was to be finished: else what is left is no offence
    flows: int
    payload_bytes: int  # of each run's input and each task's output


@dataclass(frozen=True, slots=True)
class Found:
    """The audit, and what the outcomes need of it."""

    audit: Audit
    completed: int  # tasks completed in the database
    failed: int  # tasks that failed for good
    abandoned: int  # left over of runs that failed
    reached: bool = True  # whether the database could be asked


def audit(connection: psycopg.Connection[Any], given: AuditInput) -> Found:
    """Check every invariant, within the caller's snapshot.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    return _Auditor(connection, given).run()


@contextlib.contextmanager
def snapshot(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that sees one state of the database and changes nothing."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        yield connection


class _Auditor:
    def __init__(self, connection: psycopg.Connection[Any], given: AuditInput) -> None:
        self._connection = connection
        self._given = given
        prefix = given.slug_prefix + "f"
        self._invariants = Invariants(connection, _PREFIX, prefix=prefix)
        self._prefix = sql.Literal(prefix)

    def run(self) -> Found:
        given = self._given
        done = self._tasks_by_status("completed")
        checks = [*self._by_id(done), *self._by_plan(), *self._invariants.checks()]
        failed = int(np.count_nonzero(self._tasks_by_status("failed")))
        return Found(
            Audit(all(check.ok for check in checks), tuple(checks)),
            int(np.count_nonzero(done[: given.expected_tasks] if given.whole else done)),
            failed,
            int(self._invariants.rows(_ABANDONED)[0][0]),
        )

    def _by_plan(self) -> Iterable[Check]:
        """What only the plan knows: whose runs, which definitions, what was sent."""
        given, offences = self._given, self._invariants.offences
        # 64 bits of nonce but 4, which share a digit with the variant
        yield offended(_OURS, offences(_FOREIGN_RUNS, ours=sql.Literal(str(run_id(given.nonce, 0))[:20])))
        of_flows = {
            "prefix": self._prefix,
            "flows": sql.Literal(given.flows),
            "width": sql.Literal(len(str(given.flows - 1))),
        }
        runs = sql.Literal(len(given.ledger) // given.shape.tasks_per_run)
        yield offended(_PLACED, offences(_MISPLACED_RUNS, index=_index("r"), runs=runs, **of_flows))
        yield offended(_DEFINED, offences(_DEFINITIONS, **of_flows, **self._planned()))
        body = sql.SQL(payload_sql(given.payload_bytes))
        yield offended(_GIVEN, offences(_INPUTS, body=body))
        yield offended(_SENT, offences(_SENT_OUTPUTS, body=body))

    def _planned(self) -> dict[str, sql.Composable]:
        steps = self._given.shape.steps
        deps = ["{" + ",".join(steps[dep].slug for dep in sorted(step.deps)) + "}" for step in steps]
        return {
            "slugs": sql.Literal([step.slug for step in steps]),
            "kinds": sql.Literal([step.kind for step in steps]),
            "deps": sql.Literal(deps),
            "whole": sql.Literal(self._given.whole),
        }

    def _tasks_by_status(self, status: str) -> npt.NDArray[np.bool_]:
        """bool[tasks]: which of the tasks have this status in the database."""
        given = self._given
        found = np.zeros(len(given.ledger), dtype=bool)
        offsets = np.array(given.shape.step_offsets(), dtype=np.int64)
        per_run = given.shape.tasks_per_run
        query = self._invariants.query(_WITH_STATUS, index=_index("k"), status=sql.Literal(status))
        for rows in triples(self._connection, query):
            runs, steps = rows["first"], rows["second"].astype(np.int64)
            known = (steps < len(offsets)) & (runs * per_run < len(found))
            places = runs[known] * per_run + offsets[steps[known]] + rows["third"][known]
            found[places[places < len(found)]] = True
        return found

    def _by_id(self, done: npt.NDArray[np.bool_]) -> Iterable[Check]:
        given = self._given
        told = (given.ledger & LedgerBit.COMPLETED) > 0
        yield offended(_ACKNOWLEDGED, self._ids(told & ~done))
        yield offended(_UNACKNOWLEDGED, self._ids(done & ~told))
        if given.whole:
            missing = ~done
            expected, found = given.expected_tasks, int(np.count_nonzero(done))
            ids = self._ids(missing) if expected == len(done) else []
            yield Check(_EVERY_TASK, expected == found, expected, found, tuple(ids))

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


def _index(alias: str) -> sql.Composable:
    return sql.SQL(_INDEX).format(run_id=sql.Identifier(alias, "run_id"), mask=sql.Literal((1 << 58) - 1))


def skipped(why: str) -> Found:
    """The audit where there was none: nothing was checked, and so nothing holds."""
    return Found(Audit(False, (Check(why, False, None, None),)), 0, 0, 0, reached=False)
