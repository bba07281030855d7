"""A database is aged as a user's is: its planner knows of the backlog that is processed. How far it is is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.progress import Progress
from tests.fixtures.typed import environment

# Ages a database by two runs of three steps, and says how often each table was analysed by then and what is in it.
_AGE = """
import contextlib, json
from dataclasses import replace
from pgflow_stress.cli.progress import QuietWatch
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.engine.engine import Engine
from pgflow_stress.engine.self_test.base import plan
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.opening import open_target

asked = plan(events=False)
asked = replace(asked, options=replace(asked.options, history=6))

class Aged:
    can_age = embedded = True

    def __init__(self, target):
        self.target = target

    @contextlib.contextmanager
    def aged(self, nonce, fill):
        import psycopg
        database = self.target.acquire(nonce)
        try:
            fill(database)
            with psycopg.connect(database.conninfo) as connection:
                print(json.dumps(connection.execute(
                    "select s.analyze_count, c.reltuples, (select count(*) from pgflow.step_tasks)"
                    " from pg_stat_user_tables s join pg_class c on c.oid = s.relid"
                    " where s.relid = 'pgflow.step_tasks'::regclass").fetchone()))
            yield
        finally:
            self.target.release(database)

with Engine([asked, asked.of_history()]) as engine, open_target(TargetOptions(), lambda line: None, {}) as target:
    with engine.aged(asked, Aged(target), QuietWatch()):
        pass
"""


def test_the_planner_learns_of_the_backlog_before_it_is_processed(state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AGE], capture_output=True, text=True, env=environment(), timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    analyses, rows, tasks = json.loads(done.stdout)
    assert analyses == 1
    assert 0 < rows <= tasks, "of the steps that wait for others there was no task yet"


def test_how_far_it_is_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    from pgflow_stress.engine import history  # noqa: PLC0415  the libpq is chosen by who runs it

    said: list[str] = []
    watch: Any = type("Watch", (), {"note": staticmethod(said.append)})()
    aging = history.AgingWatch(watch)
    progress = Progress("chain", 0, 1, False, "process", 1_200, 3_000, 31.2, 1_800, 0)

    aging.tick(progress)
    monkeypatch.setattr(history.time, "monotonic", lambda: float("inf"))
    aging.tick(progress)

    assert said == ["aging the database of chain: phase process, 1,200 of 3,000 in 31 s"]
