"""The audit after each repetition: pgflow's invariants, and the plan against what is there, by id.

Only flows of the repetition are looked at (their slugs begin with its prefix and "f"). Each check returns an id an
offence; it returns none on good, half-done and failed runs alike, but for what its name says.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from pgflow_stress.core.arena import LedgerBit
from pgflow_stress.core.ids import RUN_ID_PREFIX, run_id, split_run_id
from pgflow_stress.core.result import Audit, Check
from pgflow_stress.engine.chosen import chosen_of
from pgflow_stress.engine.copying import triples
from pgflow_stress.engine.definitions import DEFINITIONS, planned_parts
from pgflow_stress.engine.driver import inputs_of, outputs_of, payload, payload_sql
from pgflow_stress.engine.invariants import INVARIANTS, MOST_IDS, Invariants, offended
from pgflow_stress.engine.orders import flow_slugs
from pgflow_stress.engine.places import Places, expected_outcomes
from pgflow_stress.scenario.workload import Workload

MOST_ERRORS = 20  # of failed tasks, told apart
MOST_ERROR_CHARACTERS = 200
OTHER_ERRORS = "other errors"

# The last 58 bits of a run's id are its index; the step's index is its place in the flow.
_INDEX = "(('x' || right(replace({run_id}::text, '-', ''), 15))::bit(60)::bigint & {mask})"
_WITH_STATUS = """
copy (select {index}, p.step_index::int4, k.task_index::int4
      from pgflow.step_tasks k join pgflow.steps p using (flow_slug, step_slug)
      where {of_k} and k.status = {status}) to stdout (format binary)
"""
# Likewise, with the attempts in the last four bits of the second: but for those that were taken for stalled, and that
# pgflow counts as well.
_COMPLETED_ATTEMPTS = """
copy (select {index}, (p.step_index * 16 + least(k.attempts_count - {requeued}, 15))::int4, k.task_index::int4
      from pgflow.step_tasks k join pgflow.steps p using (flow_slug, step_slug)
      where {of_k} and k.status = 'completed') to stdout (format binary)
"""
_FAILED_RUNS = """
copy (select {index}, 0::int4, 0::int4 from pgflow.runs r where {of_r} and r.status = 'failed')
to stdout (format binary)
"""
# The number in a flow's slug is its index, a deployed flow is the only one; -1: a slug that none of ours has.
_NUMBERED = """
case when length(r.flow_slug) = {length} and substr(r.flow_slug, {first}) ~ '^[0-9]+$'
     then substr(r.flow_slug, {first})::int4 else -1 end
"""
_DEPLOYED = "case when r.flow_slug = {slug} then 0 else -1 end"
_FLOWS_OF_RUNS = """
copy (select {index}, {flow}, 0::int4
      from pgflow.runs r where {of_r} and starts_with(r.run_id::text, {ours})) to stdout (format binary)
"""
_FOREIGN_RUNS = "select r.run_id::text from pgflow.runs r where {of_r} and not starts_with(r.run_id::text, {ours})"
_INPUTS = """
select r.run_id::text from pgflow.runs r where {of_r} and {chosen} and r.input is distinct from {body}
"""
_SENT_OUTPUTS = """
select k.run_id || ' ' || k.step_slug || ' ' || k.task_index from pgflow.step_tasks k
where {of_k} and {chosen} and k.status = 'completed' and k.output is distinct from {body}
"""
# An error's first line says what failed; what follows, and where, differs with each task.
_FAILURES = """
select left(split_part(coalesce(nullif(k.error_message, ''), 'no message'), E'\n', 1), {length}), count(*)
from pgflow.step_tasks k where {of_k} and k.status = 'failed' group by 1 order by 2 desc, 1
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
_RUNS_FAIL = "runs fail as the seed decides"
_TASKS_FAIL = "tasks that failed were to fail, one for good in each failed run"
_ATTEMPTS = "tasks completed at the attempt that the seed decides"
DESIGN_CHECKS = (_RUNS_FAIL, _TASKS_FAIL, _ATTEMPTS)  # besides, where tasks fail by design


@dataclass(frozen=True, slots=True)
class AuditInput:
    """What the database is held against."""

    slug_prefix: str
    nonce: int
    work: Workload
    started: npt.NDArray[np.bool_]  # of each run, whether it was started
    ledger: npt.NDArray[np.uint8]  # of LedgerBit, a byte a task in order of run, step, task
    whole: bool  # whether every started run was to be finished: else what is left is no offence
    payload_bytes: int  # of each run's input and each task's output, but for the arrays that maps are over
    by_design: bool = True  # whether what fails is what the seed says: not where a worker was lost with tasks in hand


@dataclass(frozen=True, slots=True)
class Found:
    """The audit, and what the outcomes need of it."""

    audit: Audit
    completed: int  # tasks completed in the database
    failed: int  # tasks that failed for good
    abandoned: int  # left over of runs that failed
    reached: bool = True  # whether the database could be asked
    unknown_statuses: dict[str, int] = field(default_factory=dict)  # "step_states: paused": rows that were not judged
    failures: dict[str, int] = field(default_factory=dict)  # error, its first line: tasks that failed for good of it


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
        self._flow_slugs = [slug.decode() for slug in flow_slugs(given.slug_prefix, given.work)]
        self._invariants = Invariants(connection, chosen_of(given.work, given.slug_prefix, given.nonce))
        self._ours = sql.Literal(str(run_id(given.nonce, 0))[:RUN_ID_PREFIX])
        self._places = Places(given.work)
        self._outcomes = expected_outcomes(given.work, self._places)

    def run(self) -> Found:
        done = self._tasks_by_status("completed")
        failed = self._tasks_by_status("failed")
        failed_runs = self._failed_runs()
        checks = [
            *self._by_id(done),
            *self._as_designed(failed, failed_runs),
            *self._by_plan(),
            *self._invariants.checks(),
        ]
        of_failed_runs = self._places.of_runs(failed_runs)
        return Found(
            Audit(all(check.ok for check in checks), tuple(checks)),
            int(np.count_nonzero(done)),
            int(np.count_nonzero(failed)),
            int(np.count_nonzero(of_failed_runs & ~done & ~failed)),
            unknown_statuses=self._invariants.unknown_statuses,
            failures=self._failures() if failed.any() else {},
        )

    def _by_plan(self) -> Iterable[Check]:
        """What only the plan knows: whose runs, which definitions, what was sent."""
        given, offences = self._given, self._invariants.offences
        work, size_bytes = given.work, given.payload_bytes
        yield offended(_OURS, offences(_FOREIGN_RUNS, ours=self._ours))
        yield offended(_PLACED, self._misplaced_runs())
        yield offended(_DEFINED, offences(DEFINITIONS, **planned_parts(work, self._flow_slugs, whole=given.whole)))
        inputs = zip(self._flow_slugs, inputs_of(work, size_bytes), strict=True)
        yield offended(_GIVEN, self._not_sent(_INPUTS, ("r", "flow_slug"), inputs))
        outputs = zip((step.slug for step in work.steps), outputs_of(work, size_bytes), strict=True)
        yield offended(_SENT, self._not_sent(_SENT_OUTPUTS, ("k", "step_slug"), outputs))

    def _misplaced_runs(self) -> list[str]:
        run_flow, slug = self._places.run_flow, self._flow_slugs[0]
        first = sql.Literal(len(self._given.slug_prefix) + 2)
        flow = sql.SQL(_NUMBERED).format(length=sql.Literal(len(slug)), first=first)
        if self._given.work.deployed is not None:
            flow = sql.SQL(_DEPLOYED).format(slug=sql.Literal(slug))
        wrong: list[int] = []
        for rows in triples(self._connection, self._query(_FLOWS_OF_RUNS, "r", ours=self._ours, flow=flow)):
            runs, flows = (rows[name].astype(np.int64) for name in ("first", "second"))
            known = runs < len(run_flow)
            known[known] = run_flow[runs[known]] == flows[known]
            wrong += runs[~known].tolist()
        return [str(run_id(self._given.nonce, run)) for run in wrong]

    def _not_sent(self, text: str, column: tuple[str, str], sent: Iterable[tuple[str, bytes]]) -> list[str]:
        """The offences of a query, asked once for each value that was sent, by the slugs that it was sent for."""
        slugs_of: dict[bytes, list[str]] = {}
        for slug, value in sent:
            slugs_of.setdefault(value, []).append(slug)
        found: list[str] = []
        for value, slugs in slugs_of.items():
            chosen: sql.Composable = sql.SQL("true")
            if len(slugs_of) > 1:
                chosen = sql.SQL("{} = any({})").format(sql.Identifier(*column), sql.Literal(slugs))
            body = _jsonb(value, self._given.payload_bytes)
            found += self._invariants.offences(text, chosen=chosen, body=body)
        return found

    def _failed_runs(self) -> npt.NDArray[np.bool_]:
        """bool[runs]: which failed in the database."""
        found = np.zeros(self._given.work.runs, dtype=bool)
        for rows in triples(self._connection, self._query(_FAILED_RUNS, "r")):
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
        yield Check(_RUNS_FAIL, not wrong.any(), expected, int(np.count_nonzero(failed_runs)), ids)
        yield offended(
            _TASKS_FAIL,
            self._ids(
                (failed & (outcomes.failed_attempts == 0))
                | self._places.first_of_runs(failed_runs & ~self._places.runs_with(failed & outcomes.doomed))
            ),
        )
        yield offended(_ATTEMPTS, self._ids(self._wrong_attempts()))

    def _wrong_attempts(self) -> npt.NDArray[np.bool_]:
        """bool[tasks]: completed ones whose count of attempts is not what the seed says."""
        assert self._outcomes is not None
        wrong = np.zeros(self._places.tasks, dtype=bool)
        for places, attempts in self._placed(_COMPLETED_ATTEMPTS, packed=True):
            wrong[places] = attempts != self._outcomes.failed_attempts[places] + 1
        return wrong

    def _tasks_by_status(self, status: str) -> npt.NDArray[np.bool_]:
        """bool[tasks]: which of the tasks have this status in the database."""
        found = np.zeros(self._places.tasks, dtype=bool)
        for places, _ in self._placed(_WITH_STATUS, status=sql.Literal(status)):
            found[places] = True
        return found

    def _query(self, text: str, alias: str, **parts: sql.Composable) -> sql.Composed:
        index = sql.SQL(_INDEX).format(run_id=sql.Identifier(alias, "run_id"), mask=sql.Literal((1 << 58) - 1))
        return self._invariants.query(text, index=index, **parts)

    def _placed(
        self, text: str, *, packed: bool = False, **parts: sql.Composable
    ) -> Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """(places of tasks of ours, what is packed with the index of their step) of a query, in parts."""
        for rows in triples(self._connection, self._query(text, "k", **parts)):
            runs, second, tasks = (rows[name].astype(np.int64) for name in ("first", "second", "third"))
            steps, more = (second // 16, second % 16) if packed else (second, second)
            places = self._places.of_tasks(runs, steps, tasks)
            yield places[places >= 0], more[places >= 0]

    def _by_id(self, done: npt.NDArray[np.bool_]) -> Iterable[Check]:
        given = self._given
        told = (given.ledger & LedgerBit.COMPLETED) > 0
        unjudged = self._unjudged()
        done = done | (told & unjudged)
        yield offended(_ACKNOWLEDGED, self._ids(told & ~done))
        yield offended(_UNACKNOWLEDGED, self._ids(done & ~told & ~unjudged))
        if given.whole:
            runs = given.started
            if self._outcomes is not None:
                runs = runs & ~(self._outcomes.failing_runs if given.by_design else self._failed_runs())
            wanted = self._places.of_runs(runs) & ~unjudged
            expected, found = int(np.count_nonzero(wanted)), int(np.count_nonzero(done & wanted))
            ids = self._ids(wanted & ~done)
            yield Check(_EVERY_TASK, expected == found, expected, found, tuple(ids))

    def _unjudged(self) -> npt.NDArray[np.bool_]:
        """bool[tasks]: those of runs with rows of a status that is not known."""
        runs = np.zeros(self._given.work.runs, dtype=bool)
        for run in self._invariants.unjudged:
            place = split_run_id(uuid.UUID(run))
            if place is not None and place[1] < len(runs):
                runs[place[1]] = True
        return self._places.of_runs(runs)

    def _ids(self, offending: npt.NDArray[np.bool_]) -> list[str]:
        places = np.flatnonzero(offending)
        names = [self._places.name(self._given.nonce, place) for place in places[:MOST_IDS].tolist()]
        return names if len(places) <= MOST_IDS else [*names, f"and {len(places) - MOST_IDS} more"]

    def _failures(self) -> dict[str, int]:
        """The commonest errors, and how many tasks failed of others."""
        rows = self._invariants.rows(_FAILURES, length=sql.Literal(MOST_ERROR_CHARACTERS))
        found = {str(error): int(count) for error, count in rows}
        kept = dict(list(found.items())[:MOST_ERRORS])
        others = sum(found.values()) - sum(kept.values())
        return {**kept, OTHER_ERRORS: others} if others else kept


def _jsonb(value: bytes, size_bytes: int) -> sql.Composable:
    """A value that is sent, as an expression of SQL; `payload(size_bytes)` in a form that need not be sent again."""
    if value == payload(size_bytes):
        return sql.SQL(payload_sql(size_bytes))
    return sql.SQL("{}::jsonb").format(sql.Literal(value[1:].decode()))


def skipped(why: str) -> Found:
    """The audit where there was none: nothing was checked, and so nothing holds."""
    return Found(Audit(False, (Check(why, False, None, None),)), 0, 0, 0, reached=False)
