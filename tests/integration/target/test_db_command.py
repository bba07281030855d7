from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.target.helpers import ROOT, only_instance, rows


def _db(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pgflow_stress.cli.main", "db", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment},
    )


def test_up_status_and_down_tell_of_one_server(state: Path) -> None:
    up = _db("up")
    status = _db("status", "--json", "-")
    text = _db("status")
    down = _db("down")
    after = _db("status", "--json", "-")

    assert [done.returncode for done in (up, status, text, down, after)] == [0] * 5
    assert up.stdout == text.stdout == down.stdout == ""
    document = json.loads(status.stdout)
    assert document["schema"] == "pgflow-stress/db-status/1"
    (server,) = document["instances"]
    assert (server["running"], server["kept"], server["users"]) == (True, True, [])
    assert server["conninfo"] in up.stderr
    assert f"process {server['pid']}, kept" in text.stderr
    assert json.loads(after.stdout)["instances"][0]["running"] is False
    assert only_instance(state).running() is None


def test_status_of_nothing_is_no_error(tmp_path: Path) -> None:
    status = _db("status", PGFLOW_STRESS_STATE=str(tmp_path / "none"))

    assert status.returncode == 0
    assert "no embedded server yet" in status.stderr


def test_clean_removes_the_servers_of_odd_settings(state: Path) -> None:
    assert _db("up", "--pg-setting", "work_mem=7MB").returncode == 0
    assert _db("down").returncode == 0

    cleaned = _db("clean")

    assert cleaned.returncode == 0
    assert "removed instance" in cleaned.stderr
    assert only_instance(state).running() is None


def test_install_and_clean_work_on_a_given_database(server: str) -> None:
    rows(server, "CREATE DATABASE bakery")
    dsn = server.replace("dbname=postgres", "dbname=bakery")

    installed = _db("install", "--dsn", dsn)
    again = _db("install", "--dsn", dsn)
    cleaned = _db("clean", "--dsn", dsn)

    assert [done.returncode for done in (installed, again, cleaned)] == [0, 0, 0]
    assert "database bakery on the local socket is ready: pgflow 0.8.1, pgmq 1.13.0 as sql" in installed.stderr
    assert "has it already" in again.stderr
    assert "nothing was left to remove" in cleaned.stderr
    rows(server, "DROP DATABASE bakery")


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "line"),
    [
        (("install",), {}, 2, "give --dsn"),
        (
            ("install",),
            {"DATABASE_URL": "postgresql://u:hunter2secret@127.0.0.1:1/x"},
            3,
            "cannot connect to 127.0.0.1:1",
        ),
        (("install", "--dsn", "postgresql://u:hunter2secret@db.example.com/x"), {}, 3, "--allow-remote"),
        (("up", "--pg-setting", "port=1"), {}, 2, "fixed"),
        (("up", "--pgflow", "0.8"), {}, 2, "0.8"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_contracts_code(
    arguments: tuple[str, ...], environment: dict[str, str], code: int, line: str, tmp_path: Path
) -> None:
    done = _db(*arguments, PGFLOW_STRESS_STATE=str(tmp_path), **environment)

    assert done.returncode == code, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2secret" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
