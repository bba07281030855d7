"""Several hosts on one database: by hand and led by Dask, merged exactly; what cannot be is refused beforehand."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgflow_stress.core.latency import histogram_of, latency_of
from pgflow_stress.engine.hosts.cluster import Cluster
from pgflow_stress.target.base import Database
from tests.fixtures.schemas import PUBLISHED, ROOT, faults
from tests.fixtures.slow_proxy import slow_proxy
from tests.fixtures.typed import environment
from tests.integration.engine.conftest import Run

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
LOAD = ("concurrent-flows", "--runs", "60", "-w", "1", "-r", "1", "--warmup", "0", "--telemetry", "off")


def start(database: Database, host: str, *more: object) -> subprocess.Popen[str]:
    words = [*LOAD, "--dsn", database.conninfo, "--host-id", host, *more]
    return subprocess.Popen(
        [*PROGRAM, "run", *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip


def lead(hosts: Sequence[subprocess.Popen[str]], database: Database, lead_seconds: float = 1.0) -> None:
    """Wait until all are ready, then tell all the same start by the database's clock."""
    for host in hosts:
        assert host.stdout is not None
        line = host.stdout.readline()
        assert line, host.stderr.read() if host.stderr else ""
        assert json.loads(line)["ready"] == 0
    with psycopg.connect(database.conninfo) as connection:
        row = connection.execute("select (extract(epoch from clock_timestamp()) * 1e9)::int8").fetchone()
    assert row is not None
    for host in hosts:
        assert host.stdin is not None
        host.stdin.write(json.dumps({"start_at_ns": row[0] + int(lead_seconds * 1e9)}) + "\n")
        host.stdin.flush()


def typed(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, words)], capture_output=True, text=True, env=environment(), timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def task_latencies_ns(folders: Sequence[Path]) -> Any:
    """Of every task's row below these folders."""
    tables = [pq.read_table(file) for folder in folders for file in sorted((folder / "timings").glob("*.parquet"))]
    table = pa.concat_tables([one.cast(tables[0].schema) for one in tables])
    tasks = table.filter(pc.equal(table.column("operation").cast(pa.string()), "task"))
    return np.asarray(pc.subtract(tasks.column("done_ns"), tasks.column("sent_ns")).to_numpy(), dtype=np.int64)


def test_two_hosts_by_hand_merge_to_the_histogram_of_all_their_rows(database: Database, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    hosts = [start(database, folder.name, "--start-at", "-", "-o", folder) for folder in folders]
    lead(hosts, database)
    said = [host.communicate(timeout=100)[1] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said

    merged = typed("report", "--merge", *folders, "-o", tmp_path / "both")

    assert merged.returncode == 0, merged.stderr
    document = json.loads((tmp_path / "both" / "result.json").read_text())
    assert not faults(document, PUBLISHED)
    (repetition,) = document["repetitions"]
    of_hosts, of_both = task_latencies_ns(folders), task_latencies_ns([tmp_path / "both"])
    assert sorted(of_hosts.tolist()) == sorted(of_both.tolist())
    told = repetition["phases"]["process"]["latency_ns"]
    # A row is a task, a sample a statement: several tasks that one statement completes are one.
    expected = latency_of(replace(histogram_of(of_hosts), samples=told["samples"]))
    assert {name: told[name] for name in told} == {name: getattr(expected, name) for name in told}
    assert repetition["tasks"]["completed"] == repetition["tasks"]["expected"] == 2 * 60 * 10
    assert repetition["audit"]["ok"]
    checks = {check["name"]: check["ok"] for check in repetition["audit"]["checks"]}
    assert checks["merged histogram is that of all rows"]
    assert [(host["name"], host["tasks"]) for host in document["hosts"]] == [("a", 600), ("b", 600)]
    # One machine: two readings of one clock differ by no more than their errors.
    other = document["hosts"][1]
    assert abs(other["clock_offset_ns"]) <= other["clock_error_ns"]
    assert (tmp_path / "both" / "report.html").is_file()

    again = typed("report", "--merge", folders[0], folders[0], "-o", tmp_path / "no")
    assert (again.returncode, "a is there twice" in again.stderr) == (2, True)
    assert not (tmp_path / "no").exists()


def test_a_start_that_is_past_and_one_that_is_interrupted_leave_nothing(database: Database, tmp_path: Path) -> None:
    past = start(database, "a", "--start-at", "2026-01-01T00:00:00Z", "--json", tmp_path / "r.json")
    far = start(database, "b", "--start-at", "2100-01-01T00:00:00Z", "--json", tmp_path / "s.json")

    said = past.communicate(timeout=60)[1]
    assert (past.returncode, "give a later --start-at" in said) == (3, True), said
    while not waiting(database):
        assert far.poll() is None
        time.sleep(0.05)
    far.send_signal(signal.SIGTERM)
    far.communicate(timeout=60)
    assert far.returncode == 130


def waiting(database: Database) -> bool:
    """Whether a host is ready, by the lock that it holds."""
    with psycopg.connect(database.conninfo) as connection:
        row = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and classid = 1885822824"
        ).fetchone()
    return row is not None and row[0] > 0


def test_clocks_that_cannot_be_related_are_refused_before_anything_is_created(
    database: Database, tmp_path: Path
) -> None:
    parameters = psycopg.conninfo.conninfo_to_dict(database.conninfo)
    path = f"{parameters['host']}/.s.PGSQL.{parameters.get('port') or 5432}"
    with slow_proxy(path, 0.15) as port:
        dsn = psycopg.conninfo.make_conninfo(database.conninfo, host="127.0.0.1", port=port)
        words = [*LOAD, "--dsn", dsn, "--host-id", "a", "--start-at", "2100-01-01T00:00:00Z"]
        refused = typed("run", *words, "--json", tmp_path / "r.json")

    assert refused.returncode == 3, refused.stderr
    assert "host a: the shortest round trip leaves its clock uncertain by 15" in refused.stderr
    assert "run it nearer to the database" in refused.stderr


def test_two_agents_of_dask_here_are_one_result(run: Run) -> None:
    words = ["concurrent-flows", "--hosts", "local:2", "-w", "2", "--runs", "80", "-r", "1", "--warmup", "1"]

    code, document, said = run(*words)

    assert code == 0, said
    assert not faults(document, PUBLISHED)
    assert [host["name"] for host in document["hosts"]] == ["local-1", "local-2"]
    assert [r["warmup"] for r in document["repetitions"]] == [True, False]
    for repetition in document["repetitions"]:
        assert repetition["tasks"]["completed"] == 800
        assert repetition["audit"]["ok"]
        assert any(check["name"] == "merged histogram is that of all rows" for check in repetition["audit"]["checks"])
    assert [host["tasks"] for host in document["hosts"]] == [800, 800]
    parameters = document["scenario"]["parameters"]
    assert (parameters["workers"], parameters["runs"], parameters["hosts"]) == (2, 80, "local:2")


def test_dask_does_not_look_at_itself_on_the_cores_that_are_measured(tmp_path: Path) -> None:
    names = ("distributed.worker.profile.enabled", "distributed.admin.tick.interval")

    def told(_host: str) -> list[object]:
        import dask  # noqa: PLC0415  in the Dask worker

        return [dask.config.get(name) for name in names]

    with Cluster("local:1", 1) as cluster:
        (of_ours,) = cluster.ask(told).values()
    # The script itself, in an environment that is set up already: tests leave their own as it is.
    script = tmp_path / "dask"
    shutil.copy(ROOT / "scripts" / "dask", script)
    (tmp_path / "_setup.sh").write_text(f"root={ROOT}\nvenv={sys.prefix}\nset_up() {{ :; }}\n")
    by_script = [
        subprocess.run(
            [script, "config", "get", name], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
            env=environment(),
        ).stdout.strip()
        for name in names
    ]  # fmt: skip

    assert of_ours == [False, "1s"]
    assert by_script == ["False", "1s"]


def test_a_scheduler_that_does_not_answer_is_told_with_what_to_do(run: Run, database: Database) -> None:
    words = ("chain", "--hosts", "tcp://127.0.0.1:9", "-w", "2", "--runs", "4", "-r", "1")
    code, document, said = run(*words, "--dsn", database.conninfo)

    assert (code, document) == (3, None), said
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in said
    assert "scripts/dask worker" in said
