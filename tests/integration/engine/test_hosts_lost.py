"""Hosts, their scheduler and the user go away in the middle: it ends, it is told, and nothing stays."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest

from pgflow_stress.target.base import Database
from tests.fixtures.typed import environment

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker"]
ADDRESSES = ("127.0.0.1", "127.0.0.2")
LOAD = ("concurrent-flows", "--steps", "2", "-w", "2", "--rate", "40", "-T", "60s", "-r", "1", "--warmup", "0",
        "--telemetry", "off")  # fmt: skip
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Dask:
    """A scheduler with a worker on each of two addresses."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Callable[..., Dask]]:
    """Starts one; `variables` are of its second worker. All of it ends with the test."""
    with contextlib.ExitStack() as stack:

        def begin(command: list[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
            with log.open("wb") as stream:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment(**variables)
                )
            stack.callback(process.wait, SECONDS)
            stack.callback(process.terminate)
            return process

        def make(**variables: str) -> Dask:
            told = tmp_path / "scheduler.json"
            words = ["--host", ADDRESSES[0], "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
            scheduler = begin([*SCHEDULER, *words], tmp_path / "scheduler.log")
            until(told.exists)
            address = str(json.loads(told.read_text())["address"])
            workers = []
            for host in ADDRESSES:
                words = [address, "--host", host, "--nthreads", "1", "--no-dashboard", "--no-nanny",
                         "--memory-limit", "0", "--local-directory", str(tmp_path / host)]  # fmt: skip
                log = tmp_path / f"{host}.log"
                workers.append(begin([*WORKER, *words], log, **(variables if host == ADDRESSES[1] else {})))
                until(partial(registered, log))
            return Dask(address, scheduler, tuple(workers))

        yield make


def registered(log: Path) -> bool:
    return b"Registered to:" in log.read_bytes()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Running:
    """A run of the tool that has begun its window."""

    process: subprocess.Popen[bytes]
    said: Path
    result: Path
    family: tuple[psutil.Process, ...]  # of it and of the workers that it goes through

    def end(self) -> tuple[int, str]:
        """Its code and what it said, once no process of it is left."""
        code = self.process.wait(SECONDS)
        _, alive = psutil.wait_procs(self.family, timeout=SECONDS)
        assert not alive
        return code, self.said.read_text()


def started(tmp_path: Path, hosts: str, *more: str, of: tuple[subprocess.Popen[bytes], ...] = ()) -> Running:
    """Type it, and wait until its workers are at work."""
    said, result = tmp_path / "said", tmp_path / "r.json"
    with said.open("wb") as stream:
        process = subprocess.Popen(
            [*PROGRAM, "run", *LOAD, "--hosts", hosts, "--json", str(result), *more],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment(),
        )  # fmt: skip

    def at_work() -> bool:
        assert process.poll() is None, said.read_text()
        return "phase process" in said.read_text()

    until(at_work)
    time.sleep(4)  # a start is told ahead
    family = [
        child
        for parent in (process, *of)
        for child in psutil.Process(parent.pid).children(recursive=True)
        if "pgflow-stress" in " ".join(child.cmdline()) or parent is process
    ]
    assert family
    return Running(process, said, result, tuple(family))


def test_a_host_with_another_version_is_refused(tmp_path: Path, dask: Callable[..., Dask], database: Database) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import pgflow_stress\npgflow_stress.__version__ = '0.0.9'\n")
    cluster = dask(PYTHONPATH=str(other))

    refused = subprocess.run(
        [*PROGRAM, "run", *LOAD, "--hosts", cluster.address, "--dsn", database.conninfo],
        capture_output=True, text=True, env=environment(), timeout=SECONDS, check=False,
    )  # fmt: skip

    assert refused.returncode == 3
    assert "host 127.0.0.2 has pgflow-stress 0.0.9, and this is" in refused.stderr
    assert "install the same everywhere" in refused.stderr


def test_a_scheduler_that_is_lost_ends_the_run_on_every_host(
    tmp_path: Path, dask: Callable[..., Dask], database: Database
) -> None:
    cluster = dask()
    run = started(tmp_path, cluster.address, "--dsn", database.conninfo, of=cluster.workers)

    cluster.scheduler.kill()

    code, said = run.end()
    assert code == 1, said
    assert "the Dask scheduler is gone" in said
    assert "Traceback" not in said


def test_a_host_that_is_lost_leaves_nothing_in_a_given_database(
    tmp_path: Path, dask: Callable[..., Dask], database: Database
) -> None:
    cluster = dask()
    run = started(tmp_path, cluster.address, "--dsn", database.conninfo, "-T", "12s", of=cluster.workers)

    cluster.workers[1].kill()

    code, said = run.end()
    assert code == 1, said
    (repetition,) = json.loads(run.result.read_text())["repetitions"]
    assert [one["subject"] for one in repetition["incidents"] if one["kind"] == "host lost"] == ["127.0.0.2"]
    tasks = repetition["tasks"]
    assert tasks["expected"] == sum(count for name, count in tasks.items() if name != "expected")


@pytest.mark.usefixtures("target")
def test_an_interrupt_ends_all_hosts_and_keeps_what_was_measured(tmp_path: Path) -> None:
    run = started(tmp_path, "local:2")

    run.process.send_signal(signal.SIGINT)

    code, said = run.end()
    assert code == 130, said
    document = json.loads(run.result.read_text())
    assert [host["name"] for host in document["hosts"]] == ["local-1", "local-2"]
    (repetition,) = document["repetitions"]
    tasks = repetition["tasks"]
    assert tasks["completed"] == sum(host["tasks"] for host in document["hosts"]) > 0
    assert tasks["expected"] == sum(count for name, count in tasks.items() if name != "expected")
    assert repetition["audit"]["ok"]
    assert "Traceback" not in said
