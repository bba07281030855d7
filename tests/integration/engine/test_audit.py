"""The audit finds what is planted, names it, and finds nothing where nothing is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psycopg
import pytest

from pgflow_stress.core.ids import run_id
from pgflow_stress.engine.audit import AuditInput, Found, audit, snapshot
from pgflow_stress.engine.driver import END_DONE, payload
from pgflow_stress.engine.private_books import Books
from pgflow_stress.scenario.failing import Failing
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.target.base import Target
from tests.integration.engine.driving import bench

STEPS, FLOWS, RUNS = 4, 2, 6


@dataclass(frozen=True)
class Driven:
    """A database in which every task was completed, and what it is held against."""

    connection: psycopg.Connection[Any]
    nonce: int
    books: Books
    given: AuditInput

    def audit(self) -> Found:
        with snapshot(self.connection):
            return audit(self.connection, self.given)

    def broken(self) -> dict[str, tuple[str, ...]]:
        return {check.name: check.ids for check in self.audit().audit.checks if not check.ok}


@contextlib.contextmanager
def finished(target: Target, scenario: str, options: RunOptions) -> Iterator[Driven]:
    with bench(target, scenario, options) as made:
        driver = made.driver
        assert [driver.create(), driver.start(), driver.process()] == [END_DONE] * 3
        given = AuditInput(
            made.slug_prefix, made.nonce, made.plan.work, np.ones(made.plan.runs, dtype=bool), made.books.ledger, True,
            options.payload_bytes,
        )  # fmt: skip
        yield Driven(made.connection, made.nonce, made.books, given)


@pytest.fixture
def driven(target: Target) -> Iterator[Driven]:
    with finished(target, "concurrent-flows", RunOptions(workers=1, steps=STEPS, flows=FLOWS, runs=RUNS)) as made:
        yield made


def test_a_good_run_has_nothing_to_find(driven: Driven) -> None:
    found = driven.audit()

    assert found.audit.ok, driven.broken()
    assert (found.completed, found.failed, found.abandoned) == (STEPS * RUNS, 0, 0)


def test_a_lost_completion_is_found_with_its_id(driven: Driven) -> None:
    run = run_id(driven.nonce, 3)
    driven.connection.execute(
        "update pgflow.step_tasks set status = 'started', completed_at = null, output = null "
        "where run_id = %s and step_slug = 's2'",
        (run,),
    )

    broken = driven.broken()

    assert broken["tasks acknowledged as completed are completed"] == (f"{run} s2 0",)
    assert broken["every expected task is completed"] == (f"{run} s2 0",)
    assert broken["messages: one a task, archived when it is finished"] == (f"{run} s2 0",)


def test_a_completion_that_nobody_was_told_of_is_found(driven: Driven) -> None:
    driven.books.ledger[STEPS * 2 + 1] = 0

    broken = driven.broken()

    assert broken == {"tasks completed were acknowledged to a worker": (f"{run_id(driven.nonce, 2)} s1 0",)}


def test_a_leaked_message_is_found_with_its_id(driven: Driven) -> None:
    flow = f"{driven.given.slug_prefix}f1"
    sent = driven.connection.execute("select pgmq.send(%s, '{}'::jsonb)", (flow,)).fetchone()

    assert sent is not None
    assert driven.broken() == {"messages: none without a task": (f"{flow} message {sent[0]}",)}


def test_a_message_that_was_not_archived_is_found(driven: Driven) -> None:
    flow = f"{driven.given.slug_prefix}f0"
    driven.connection.execute(
        f"with gone as (delete from pgmq.a_{flow} where msg_id = 1 returning msg_id, enqueued_at, vt, message) "
        f"insert into pgmq.q_{flow} (msg_id, enqueued_at, vt, message) overriding system value select * from gone"
    )

    assert list(driven.broken()) == ["messages: one a task, archived when it is finished"]


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        ("update pgflow.runs set remaining_steps = 2 where run_id = %s", "runs: steps and remaining_steps"),
        (
            "update pgflow.step_states set remaining_deps = 1 where run_id = %s and step_slug = 's0'",
            "steps: dependencies and remaining_deps",
        ),
        (
            "update pgflow.step_states set remaining_tasks = 1, status = 'started', completed_at = null "
            "where run_id = %s and step_slug = 's0'",
            "steps: tasks and remaining_tasks",
        ),
        (
            "update pgflow.step_tasks set attempts_count = 9 where run_id = %s and step_slug = 's0'",
            "tasks: attempts and completed_at",
        ),
        ("update pgflow.runs set output = '{\"s0\": 1}' where run_id = %s", "runs: output is that of the leaf steps"),
        (
            "update pgflow.runs set status = 'started', completed_at = null, remaining_steps = 1, output = null "
            "where run_id = %s",
            "runs: whose every step is completed are completed",
        ),
    ],
)
def test_a_wrong_counter_or_state_is_found_with_the_run(driven: Driven, plant: Any, check: str) -> None:
    run = run_id(driven.nonce, 5)
    driven.connection.execute(plant, (run,))

    broken = driven.broken()

    assert check in broken
    assert broken[check][0].startswith(str(run))


def test_a_strange_run_in_our_flow_is_found(driven: Driven) -> None:
    row = driven.connection.execute(
        "select run_id::text from pgflow.start_flow(%s, '{}'::jsonb)", (f"{driven.given.slug_prefix}f0",)
    ).fetchone()

    assert row is not None
    assert driven.broken()["run ids are ours"] == (row[0],)


def test_runs_that_were_to_fail_and_completed_are_found(driven: Driven) -> None:
    failing = Failing(0.0, 1.0, max_attempts=2, base_delay_seconds=0, seed=1)
    given = replace(driven.given, work=replace(driven.given.work, failing=failing))

    with snapshot(driven.connection):
        checks = audit(driven.connection, given).audit.checks
    broken = {check.name: check for check in checks if not check.ok}

    runs = broken["runs fail as the seed decides"]
    assert (runs.expected, runs.found, len(runs.ids)) == (RUNS, 0, RUNS)
    assert broken["tasks completed at the attempt that the seed decides"].found == RUNS


def test_a_half_done_run_is_no_offence_where_it_was_cut_short(driven: Driven) -> None:
    driven.connection.execute(
        "select pgflow.start_flow(flow_slug => %s, run_id => %s, input => %s::jsonb)",
        (f"{driven.given.slug_prefix}f0", run_id(driven.nonce, RUNS), payload(driven.given.payload_bytes)[1:].decode()),
    )
    cut_short = replace(
        driven.given,
        whole=False,
        work=replace(driven.given.work, runs=RUNS + 1),
        started=np.ones(RUNS + 1, dtype=bool),
        ledger=np.append(driven.given.ledger, np.zeros(STEPS, dtype=np.uint8)),
    )

    with snapshot(driven.connection):
        assert audit(driven.connection, cut_short).audit.ok


def test_failed_tasks_are_told_apart_by_the_first_line_of_their_error(driven: Driven) -> None:
    for step, error in (("s0", "boom\nat line 3"), ("s1", "boom\nat line 4"), ("s2", "refused"), ("s3", "")):
        driven.connection.execute(
            "update pgflow.step_tasks set status = 'failed', completed_at = null, failed_at = now(), output = null, "
            "error_message = %s where run_id = %s and step_slug = %s",
            (error, run_id(driven.nonce, 0), step),
        )

    found = driven.audit()

    assert found.failed == 4
    assert found.failures == {"boom": 2, "no message": 1, "refused": 1}


def test_each_flow_of_several_shapes_is_held_against_its_own_steps_inputs_and_outputs(target: Target) -> None:
    written = (("dag", "a m*2:a z:m; e*3 b:e"),)
    with finished(target, "dag", RunOptions(workers=1, flows=2, runs=4, parameters=written)) as made:
        first, second = (f"{made.given.slug_prefix}f{flow}" for flow in (0, 1))
        run_of_second = run_id(made.nonce, int(np.flatnonzero(made.given.work.run_flow() == 1)[0]))
        assert made.audit().audit.ok, made.broken()

        made.connection.execute("update pgflow.runs set input = '[0, 1]' where run_id = %s", (run_of_second,))
        made.connection.execute("update pgflow.step_tasks set output = '[0]' where step_slug ~ 'a$' and task_index = 0")
        made.connection.execute("delete from pgflow.deps where flow_slug = %s and step_slug ~ 'z$'", (first,))
        broken = made.broken()
        assert broken["runs: input is what was given"] == (str(run_of_second),)
        assert len(broken["tasks: output is what was sent"]) == 2
        assert len(broken["flows: steps and dependencies are the plan's"]) == 1

        made.connection.execute("update pgflow.runs set flow_slug = %s where flow_slug = %s", (first, second))
        assert len(made.broken()["runs: each is one of the plan's, in its flow"]) == 2
