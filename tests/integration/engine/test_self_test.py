"""audit --self-test and audit --dsn, as typed: a few mutants, and a database that is only looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from pgflow_stress.core.ids import new_nonce
from pgflow_stress.engine.audit import AUDIT_CHECKS
from pgflow_stress.engine.event_accounts import EVENT_CHECKS
from pgflow_stress.target.base import Target
from tests.integration.target.helpers import databases

TOOL = (sys.executable, "-m", "pgflow_stress.cli.main", "audit")
# One of rows, one of a function, one that stalls its job, one of events.
FEW = ("message missing", "lost completion", "skipped dependency", "event dropped")


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PGFLOW_STRESS_", "PG"))}
    ours.pop("DATABASE_URL", None)
    return ours | {"PGFLOW_STRESS_STATE": os.environ["PGFLOW_STRESS_STATE"]}


def _audit(*arguments: object) -> tuple[int, Any, list[str]]:
    done = subprocess.run(
        [*TOOL, *map(str, arguments), "--json", "-"],
        capture_output=True, text=True, env=_environment(), timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.splitlines()


def _maintenance(target: Target) -> str:
    database = target.acquire(new_nonce())
    target.release(database)
    return psycopg.conninfo.make_conninfo(database.conninfo, dbname="postgres")


def test_each_mutant_is_caught_by_its_check_and_nothing_is_left(target: Target) -> None:
    code, document, said = _audit("--self-test", *(part for name in FEW for part in ("--mutant", name)))

    assert (code, said[-1]) == (0, "4 of 4 mutants caught"), said
    assert (document["schema"], document["ok"]) == ("pgflow-stress/self-test/1", True)
    assert {one["name"]: one["caught"] for one in document["mutants"]} == dict.fromkeys(FEW, True)
    assert all(one["ids"] for one in document["mutants"])
    assert [(one["when"], one["ok"]) for one in document["controls"]] == [("before", True), ("after", True)]
    # pgflow 0.8.1 keeps no output of a step.
    assert document["controls"][0]["checks"] == len(AUDIT_CHECKS) + len(EVENT_CHECKS) - 1
    assert databases(_maintenance(target)) == []


def test_an_interrupted_self_test_ends_with_130_and_leaves_nothing(target: Target) -> None:
    with subprocess.Popen(
        [*TOOL, "--self-test"], stderr=subprocess.PIPE, text=True, env=_environment(), stdin=subprocess.DEVNULL
    ) as process:
        assert process.stderr
        while not process.stderr.readline().startswith("control before"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        code = process.wait(60)

    assert code == 130, said
    assert "Traceback" not in said
    assert databases(_maintenance(target)) == []


def test_a_database_is_audited_and_not_changed(target: Target, tmp_path: Path) -> None:
    database = target.acquire(new_nonce())
    try:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            for slug in ("Good", "good", "bad"):  # the first two share a queue
                connection.execute("select pgflow.create_flow(%s)", (slug,))
                connection.execute("select pgflow.add_step(%s, 'a')", (slug,))
                connection.execute("select pgflow.start_flow(%s, '{}')", (slug,))
            whole = _audit("--dsn", database.conninfo)
            connection.execute("update pgflow.runs set remaining_steps = 7 where flow_slug = 'bad'")
            broken = _audit("--dsn", database.conninfo)
            chosen = _audit("--dsn", database.conninfo, "--flow-slug", "good", "--flow-slug", "Good")
            absent = _audit("--dsn", database.conninfo, "--flow-slug", "ugly")
            rows = connection.execute("select count(*) from pgflow.runs").fetchone()
    finally:
        target.release(database)

    assert (whole[0], whole[1]["ok"]) == (0, True), whole[2]
    assert broken[0] == 4
    failed = [check for check in broken[1]["results"][0]["checks"] if not check["ok"]]
    assert [(check["name"], check["found"]) for check in failed] == [("runs: steps and remaining_steps", 1)]
    assert chosen[0] == 0, chosen[2]
    assert (absent[0], absent[1], len(absent[2])) == (2, None, 1)
    assert rows == (3,)
