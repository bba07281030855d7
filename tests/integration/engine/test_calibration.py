"""`calibrate` as it is typed, on the embedded server, on a database of its own and in a given one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.ids import new_nonce, run_id
from pgflow_stress.core.paths import cache_dir
from pgflow_stress.engine.calibration import MEASUREMENTS
from pgflow_stress.target.base import Target
from tests.integration.target.helpers import databases, rows, value

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
Calibrate = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module", autouse=True)
def nothing_new_in_the_cache() -> Iterator[None]:
    """Calibrations of this module's servers, which nobody will ask for again, are not kept."""
    before = set(cache_dir().glob("calibration-*.json"))
    yield
    for path in set(cache_dir().glob("calibration-*.json")) - before:
        path.unlink()


@pytest.fixture(scope="module")
def calibrate(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Calibrate:
    """`calibrate ARGS --json …`: (exit code, the document or None, standard error)."""

    def call(*arguments: str) -> tuple[int, Any, str]:
        path = tmp_path_factory.mktemp("calibrate") / "c.json"
        done = subprocess.run(
            [*PROGRAM, "calibrate", "--seconds", "0.03", *arguments, "--json", str(path)],
            capture_output=True, text=True, env=dict(os.environ), timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, json.loads(path.read_text()) if path.exists() else None, done.stderr

    return call


def maintenance(target: Target) -> str:
    conninfo: str = target.conninfo("postgres")  # type: ignore[attr-defined]
    return conninfo


def test_the_embedded_server_is_calibrated_whole_and_left_clean(calibrate: Calibrate, target: Target) -> None:
    before = databases(maintenance(target))

    code, document, said = calibrate()

    assert code == 0, said
    assert document["schema"] == "pgflow-stress/calibration/1"
    assert list(document["measurements"]) == list(MEASUREMENTS)
    for name, part in document["measurements"].items():
        assert part["reason"] is None
        for one, figure in part["figures"].items():
            assert (figure["median"] is None) == (figure["n"] == 0) == bool(figure["reason"]), (name, one)
            if figure["n"]:
                assert 0 <= figure["low"] <= figure["median"] <= figure["high"]
                assert len(figure["values"]) == figure["n"]
    client = document["measurements"]["client"]["figures"]
    assert {name.partition(".")[0] for name in client} == {"single", "pipeline_one_sync", "pipeline_sync_each"}
    assert client["single.throughput_to_pgbench"]["n"] == client["single.queries_per_second"]["n"] == 4
    assert document["measurements"]["client"]["facts"]["pgbench_origin"] == "embedded"
    disk = document["measurements"]["disk"]["figures"]
    assert all(disk[f"connections_{count}.commits_per_second"]["n"] == 3 for count in (1, 4, 16))
    assert document["measurements"]["ceiling"]["figures"]["tasks_per_second"]["n"] == 5
    assert max(map(len, said.splitlines())) <= 80
    assert databases(maintenance(target)) == before


def test_both_sides_can_be_pinned(calibrate: Calibrate) -> None:
    cpu = min(os.sched_getaffinity(0))

    code, document, said = calibrate("--only", "client", "--pin", f"worker={cpu},postgres={cpu}")

    assert code == 0, said
    assert document["pin"] == {"worker": [cpu], "postgres": [cpu]}
    assert list(document["measurements"]) == ["client"]
    assert f"worker on {cpu}, postgres on {cpu}" in said


def test_in_a_given_database_nothing_is_made_but_rows_that_go(calibrate: Calibrate, target: Target) -> None:
    database = target.acquire(new_nonce())
    try:
        tables = "select count(*) from pg_class where relkind in ('r', 'S') and relname not like 'pg_%'"
        before = value(database.conninfo, tables)

        code, document, said = calibrate("--dsn", database.conninfo, "--only", "disk", "--only", "ceiling")

        assert code == 0, said
        assert "pg_logical_emit_message" in document["measurements"]["disk"]["facts"]["statement"]
        assert document["measurements"]["ceiling"]["facts"]["isolation"] == "prefix"
        assert value(database.conninfo, tables) == before
        for table in ("flows", "runs", "step_tasks", "workers"):
            assert value(database.conninfo, f"select count(*) from pgflow.{table}") == 0
    finally:
        assert not target.release(database).leftovers


def test_a_later_result_quotes_the_calibration_with_its_date(
    calibrate: Calibrate, run: Callable[..., tuple[int, Any, str]]
) -> None:
    calibrate("--only", "clock")
    _, calibrated, _ = calibrate("--only", "recorder")

    code, result, said = run("single-flow", "--steps", 20, "--repetitions", 1, "--warmup", 0)

    assert code == 0, said
    quoted = result["environment"]["calibration"]
    measured = calibrated["measurements"]["recorder"]["figures"]
    assert quoted["recorder"]["measured_at"] == calibrated["measured_at"]
    assert quoted["recorder"]["figures"]["clock_ns"] == measured["clock_ns"]["median"]
    assert quoted["recorder"]["figures"]["record_to_clock_ratio"] == measured["record_to_clock_ratio"]["of_medians"]
    assert quoted["clock"]["figures"]["read_cost_ns"] > 0


def test_a_session_for_the_noise_is_kept_and_told_and_not_used_before_the_fifth(calibrate: Calibrate) -> None:
    code, document, said = calibrate("--noise", "--noise-sessions", "1")

    assert code == 0, said
    noise = document["measurements"]["noise"]
    (session,) = noise["facts"]["sessions"]
    assert len(session["values"]["execute.per_second"]) == 5
    assert list(noise["figures"]) == ["sessions"]
    kept = "noise between sessions: not known yet (1 session,"
    assert kept in said
    _, again, said = calibrate("--only", "clock")
    parts = ("host", "postgres", "settings")
    changed = {
        name: (document["environment"][part].get(name), value)
        for part in parts
        for name, value in again["environment"][part].items()
        if document["environment"][part].get(name) != value
    }
    assert kept in said, f"another machine or server to it: {changed}"


def test_an_interrupt_leaves_no_database_and_no_pgbench(target: Target) -> None:
    before = databases(maintenance(target))
    process = subprocess.Popen(
        [*PROGRAM, "calibrate", "--only", "client", "--seconds", "20"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "measuring client" not in process.stderr.readline():
        assert process.poll() is None
    ours = "select count(*) from pg_stat_activity where application_name = 'pgflow-stress: calibrate'"
    while not value(maintenance(target), ours):
        assert process.poll() is None

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert databases(maintenance(target)) == before
    assert value(maintenance(target), "select count(*) from pg_stat_activity where application_name ~ 'pgbench'") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        "--only nothing",
        "--seconds 0",
        "--pin nobody=0",
        "--json /nonexistent/x",
        "--noise --noise-sessions 0",
        "--noise-sessions 2",
        "--noise --only clock",
        "--noise --dsn dbname=x",
        "--noise --json /nonexistent/x",
    ],
)
def test_bad_usage_is_2(arguments: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "calibrate", *arguments.split()], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_loop_in_the_server_completes_every_task_or_says_so(target: Target) -> None:
    import psycopg  # noqa: PLC0415  after the libpq is chosen

    from pgflow_stress.engine.calibration import ceiling  # noqa: PLC0415

    nonce = new_nonce()
    database = target.acquire(nonce)
    try:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            worker = ceiling.make_ready(connection, database)
            flow = ceiling.start(connection, f"{database.slug_prefix}f0", run_id(nonce, 0), 25)

            done = ceiling.drain(connection, flow, worker, 25, 10)

            assert done.tasks == 25
            assert rows(database.conninfo, "select status, remaining_steps from pgflow.runs") == [("completed", 0)]
            with pytest.raises(RunFailed, match="completed 0 of 1 tasks"):
                ceiling.drain(connection, flow, worker, 1, 10)
    finally:
        assert not target.release(database).leftovers
