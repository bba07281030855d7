"""A user's own flow, driven where it is: its definition, its history and its queue stay as they are."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.ids import run_id
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.installing import install_into
from tests.integration.target.helpers import Tool, given, quiet, rows

FLOWS = Path(__file__).resolve().parents[2] / "data/flows"
SLUG = "fulfilOrder"


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[str]:
    """A database of the user's with a flow that was run once: its conninfo."""
    name = f"shop_{uuid.uuid4().hex[:8]}"
    rows(server, f"CREATE DATABASE {name}")
    dsn = server.replace("dbname=postgres", f"dbname={name}")
    typed = TargetOptions(dsn=dsn, dsn_typed=True)
    install_into(typed, choose_target(typed, {}), quiet)
    rows(dsn, (FLOWS / "fulfil_order.sql").read_text())
    _run_to_its_end(dsn)
    yield dsn
    rows(server, f"DROP DATABASE {name} WITH (FORCE)")


def _run_to_its_end(dsn: str) -> None:
    """One run of the user's, by a worker of the user's that has gone."""
    rows(dsn, "SELECT pgflow.start_flow(%s, '{}')", SLUG)
    while ids := [row[0] for row in rows(dsn, "SELECT msg_id FROM pgmq.read(%s, 60, 10)", SLUG)]:
        started = "SELECT run_id, step_slug, task_index FROM pgflow.start_tasks(%s, %s, NULL)"
        for run, step, task in rows(dsn, started, SLUG, ids):
            rows(dsn, "SELECT pgflow.complete_task(%s, %s, %s, '{}')", run, step, task)


def _contents(dsn: str) -> list[tuple[Any, ...]]:
    return rows(
        dsn,
        """
        SELECT (SELECT count(*) FROM pgflow.flows), (SELECT count(*) FROM pgflow.steps),
               (SELECT count(*) FROM pgmq.meta),
               (SELECT array_agg(t::text ORDER BY 1) FROM pgflow.runs t),
               (SELECT array_agg(t::text ORDER BY 1) FROM pgflow.step_tasks t),
               (SELECT count(*) FROM pgflow.step_states), (SELECT count(*) FROM pgflow.workers),
               (SELECT count(*) FROM realtime.messages),
               (SELECT count(*) FROM pgmq.q_fulfilorder), (SELECT count(*) FROM pgmq.a_fulfilorder)
        """,
    )


def _tool(dsn: str, *arguments: object, json_path: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pgflow_stress.cli.main", "run", "--flow-slug", SLUG, "--dsn", dsn, "--quiet",
         "--repetitions", "1", "--warmup", "0", "--workers", "2", "--json", str(json_path), *map(str, arguments)],
        capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_nothing_is_created_and_only_rows_of_our_own_runs_are_made_and_removed(shop: str, tmp_path: Path) -> None:
    before, result = _contents(shop), tmp_path / "r.json"

    code, said = _tool(shop, "--runs", 8, "--events", "notify", json_path=result)

    assert (code, said) == (0, "")
    (repetition,) = json.loads(result.read_text())["repetitions"]
    assert (repetition["phases"]["create"]["count"], repetition["phases"]["create"]["seconds"]) == (0, 0)
    assert repetition["tasks"]["completed"] == repetition["tasks"]["expected"] == 8 * 7
    assert repetition["events"]["expected"] == repetition["events"]["received"]
    assert sum(repetition["events"]["expected"].values()) == 8 * (2 + 2 * 7)
    assert _contents(shop) == before


def test_what_a_killed_run_left_of_a_deployed_flow_is_gone_after_the_next_start(shop: str) -> None:
    before = _contents(shop)
    with Tool(shop) as killed:
        _, prefix, _ = killed.ready()
        nonce = int(prefix[2:18], 16)
        rows(
            shop,
            "INSERT INTO pgflow.workers (worker_id, queue_name, function_name) VALUES (gen_random_uuid(), %s, 'f')",
            prefix,
        )
        for index in range(2):
            rows(shop, "SELECT pgflow.start_flow(%s, '{}', %s)", SLUG, run_id(nonce, index))
        rows(shop, "SELECT pgmq.archive('fulfilOrder', max(msg_id)) FROM pgmq.q_fulfilorder")
        killed.kill()
    assert _contents(shop) != before

    with given(shop):
        pass

    assert _contents(shop) == before


@pytest.mark.parametrize("what", ["runs in progress", "workers"])
def test_a_flow_that_others_are_at_work_on_is_refused_with_what_to_do(shop: str, what: str) -> None:
    if what == "workers":
        worker = str(uuid.uuid4())
        rows(
            shop, "INSERT INTO pgflow.workers (worker_id, queue_name, function_name) VALUES (%s, %s, 'f')", worker, SLUG
        )
    else:
        rows(shop, "SELECT pgflow.start_flow(%s, '{}', '11111111-1111-1111-1111-111111111111')", SLUG)
    try:
        with pytest.raises(SetUpFault, match=what), given(shop, deployed=SLUG):
            pass
    finally:
        rows(shop, "DELETE FROM pgflow.workers WHERE queue_name = %s", SLUG)
        for table in ("step_tasks", "step_states", "runs"):
            rows(shop, f"DELETE FROM pgflow.{table} WHERE run_id = '11111111-1111-1111-1111-111111111111'")
        rows(shop, "DELETE FROM realtime.messages WHERE topic LIKE '%%11111111-1111%%'")
        rows(shop, "DELETE FROM pgmq.q_fulfilorder")
