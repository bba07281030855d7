"""The planner knows what a large backlog of ours is before it is processed for a history, and before it is audited."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.progress import Progress
from tests.fixtures.typed import environment
from tests.integration.engine.conftest import Run

# known(): how often pgflow.step_tasks was analysed by then, how many rows it is taken to have, how many it has.
_PRELUDE = """
import contextlib, json
from dataclasses import replace
from pgflow_stress.cli.progress import QuietWatch
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.engine.engine import Engine
from pgflow_stress.engine.self_test.base import SHAPE, plan
from pgflow_stress.scenario.past import past_of
from pgflow_stress.scenario.workload import workload
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.opening import open_target

def known(database):
    import psycopg  # after the engine has forked
    with psycopg.connect(database.conninfo) as connection:
        return connection.execute(
            "select s.analyze_count, c.reltuples, (select count(*) from pgflow.step_tasks)"
            " from pg_stat_user_tables s join pg_class c on c.oid = s.relid"
            " where s.relid = 'pgflow.step_tasks'::regclass").fetchone()

"""
_AGE = """
asked = plan(events=False)
asked = replace(asked, options=replace(asked.options, history=6))

class Aged:
    can_age = embedded = True

    def __init__(self, target):
        self.target = target

    @contextlib.contextmanager
    def aged(self, nonce, fill):
        database = self.target.acquire(nonce)
        try:
            fill(database)
            print(json.dumps(known(database)))
            yield
        finally:
            self.target.release(database)

with Engine([asked, past_of(asked)]) as engine, open_target(TargetOptions(), lambda line: None, {}) as target:
    with engine.aged(asked, Aged(target), QuietWatch()):
        pass
"""
_AUDIT = """
few, many = (replace(plan(events=False), work=workload(SHAPE, 2, runs)) for runs in (8, 250))
with Engine([few, many]) as engine, open_target(TargetOptions(), lambda line: None, {}) as target:
    for one in (few, many):
        tell = lambda database, _: print(json.dumps(known(database)))
        measured = engine.measure_one(one, target, lambda _: None, QuietWatch(), 0, tell)
        assert measured.repetition.audit.ok
"""


def _said(script: str) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + script], capture_output=True, text=True, env=environment(), timeout=120,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_learns_of_a_history_s_backlog_before_that_is_processed(state: Path) -> None:
    ((analyses, rows, tasks),) = _said(_AGE)

    assert analyses == 1
    assert 0 < rows < tasks, "of steps that wait for others there was no task yet"


def test_it_learns_of_many_tasks_before_they_are_audited_and_is_not_bothered_with_few(state: Path) -> None:
    few, many = _said(_AUDIT)

    assert few[:2] == [0, -1]
    assert many[0] == 1
    assert many[1] == many[2] >= 1_000, "those that prime the workers are there as well"


def test_a_run_that_asks_for_it_says_so(run: Run) -> None:
    code, document, said = run("single-flow", "--steps", 60, "--planner-statistics", "backlog", "--repetitions", 1)

    assert code == 0, said
    assert document["scenario"]["parameters"]["planner_statistics"] == "backlog"
    assert "planner statistics were taken of the standing backlog" in " ".join(said.split())
    assert "execute and end to end hold the time" in " ".join(said.split())
    assert "tables were nearly empty" not in " ".join(said.split())


def test_how_far_a_history_is_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    from pgflow_stress.engine import history  # noqa: PLC0415  the libpq is chosen by who runs it

    said: list[str] = []
    watch: Any = type("Watch", (), {"note": staticmethod(said.append)})()
    aging = history.AgingWatch(watch)
    progress = Progress("chain", 0, 1, False, "process", 1_200, 3_000, 31.2, 1_800, 0)

    aging.tick(progress)
    with monkeypatch.context() as later:
        later.setattr(time, "monotonic", lambda: float("inf"))
        aging.tick(progress)

    assert said == ["aging the database of chain: phase process, 1,200 of 3,000 in 31 s"]
