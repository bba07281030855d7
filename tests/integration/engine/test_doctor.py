"""`doctor` as it is typed: it looks and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target.base import Target
from tests.integration.target.helpers import databases, rows, state_directory, value

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]


def doctor(*arguments: str, **variables: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        [*PROGRAM, "doctor", "--json", "-", *arguments],
        capture_output=True, text=True, env={**os.environ, **variables}, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def levels(document: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in document["findings"]:
        found.setdefault(finding["name"], set()).add(finding["level"])
    return found


def test_an_embedded_server_that_is_down_is_not_booted() -> None:
    with state_directory() as state:
        code, document, said = doctor()

        assert code == 0, said
        assert document["schema"] == "pgflow-stress/doctor/1"
        assert levels(document)["settings"] == {"ok"}
        assert not list(state.glob("instances/*/server"))
    assert "target: the embedded server" in said


def test_a_running_embedded_server_is_asked(target: Target) -> None:
    code, document, said = doctor()

    assert code == 0, said
    assert {"round_trip", "transport", "settings", "data_directory", "leftovers"} <= set(levels(document))
    assert max(map(len, said.splitlines())) <= 80


def test_a_given_database_is_looked_at_and_left_as_it_was(target: Target) -> None:
    database = target.acquire(new_nonce())
    try:
        rows(database.conninfo, f'alter database "{database.name}" set statement_timeout = 7000')
        rows(database.conninfo, "drop table realtime.messages cascade")

        code, document, said = doctor("--dsn", database.conninfo)

        assert code == 0, said
        found = levels(document)
        assert found["pgflow"] == {"ok"}
        assert found["rights"] == found["pooler"] == found["leftovers"] == {"ok"}
        assert found["events"] == found["settings"] == {"warn"}
        assert any("statement_timeout = 7s" in finding["what"] for finding in document["findings"])
        assert value(database.conninfo, "select count(*) from pgflow.flows") == 0
    finally:
        target.release(database)


def test_what_dead_runs_left_is_named(target: Target) -> None:
    maintenance = target.conninfo("postgres")  # type: ignore[attr-defined]
    name = f"pgflow_stress_s00000000_{new_nonce():016x}"
    rows(maintenance, f'create database "{name}" template template0')
    try:
        _, document, _ = doctor("--dsn", maintenance)

        (left,) = [finding for finding in document["findings"] if finding["name"] == "leftovers"]
        assert left["level"] == "warn"
        assert name in left["what"]
        assert name in databases(maintenance)
    finally:
        rows(maintenance, f'drop database "{name}"')


def test_strict_is_5_where_a_finding_is_bad(target: Target) -> None:
    database = target.acquire(new_nonce())
    try:
        rows(database.conninfo, f'alter database "{database.name}" set synchronous_commit = off')

        lenient, strict = doctor("--dsn", database.conninfo), doctor("--dsn", database.conninfo, "--strict")

        assert (lenient[0], strict[0]) == (0, 5)
        assert strict[1]["worst"] == "bad"
    finally:
        assert not target.release(database).leftovers


@pytest.mark.parametrize("how", ["absent", "not named"])
def test_a_target_that_cannot_be_used_is_3_and_the_machine_is_told_of_all_the_same(
    how: str, target: Target, tmp_path: Path
) -> None:
    maintenance = target.conninfo("postgres")  # type: ignore[attr-defined]

    if how == "absent":
        code, document, said = doctor("--dsn", f"host={tmp_path} password=hunter2 dbname=x")
    else:
        code, document, said = doctor(DATABASE_URL=maintenance)

    assert code == 3
    assert document["findings"][0]["name"] == "target"
    assert {"cores", "load", "memory"} <= set(levels(document))
    assert "hunter2" not in said + json.dumps(document)
