"""Several hosts on one database are one exact result; a line of JSON a proof.

    local     local:4 with 200,000 tasks: the merged histogram is that of all rows, the audit holds, all four did work
    network   scheduler, two agents and database on test hosts of their own (network namespaces, needs root): TCP, real
              addresses, a password that no task holds, a link cut and mended
    rate      tasks/s through 2 agents ÷ the same workers of one plain run, in turns: median >= 0.97
    kill      an agent killed mid-run, its Dask worker killed mid-run: accounted, ends, nothing left

`--tasks N` of each but rate, `--pairs N` of rate.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import _namespaces as namespaces
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgflow_stress.core.latency import histogram_of, latency_of
from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402

STRESS = [sys.executable, "-m", "pgflow_stress.cli.main"]
DASK = [sys.executable, "-m", "distributed.cli.dask_scheduler"], [sys.executable, "-m", "distributed.cli.dask_worker"]
STEPS = 20
ONCE = ("--repetitions", "1", "--warmup", "0", "--telemetry", "off")
LEAST_RATIO = 0.97
ADDRESSES = {"sched": "10.91.7.1", "db": "10.91.7.2", "a": "10.91.7.3", "b": "10.91.7.4"}
PASSWORD = "kept out of every task"
CUT_SECONDS = 3.0
_SECONDS = 900


def load(tasks: int, workers: int) -> list[str]:
    """Runs of independent steps over as many flows as workers."""
    words = f"concurrent-flows --steps {STEPS} --flows {workers} --runs {tasks // STEPS} --workers {workers}"
    return [*words.split(), "--poll-size", "100", "--completion-batch-size", "100"]


def run(*words: str, prefix: Sequence[str] = (), **variables: str) -> tuple[int, Any, str, Any]:
    """A run of the tool: its code, its result, what it said, the rows of all tasks."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*prefix, *STRESS, "run", *words, "-o", f"{folder}/r"], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=_SECONDS, env={**os.environ, **variables}, check=False,
        )  # fmt: skip
        path = Path(folder, "r", "result.json")
        document = json.loads(path.read_text()) if path.exists() else None
        return done.returncode, document, done.stderr, _latencies_ns(Path(folder, "r", "timings"))


def _latencies_ns(folder: Path) -> Any:
    found = [np.zeros(0, dtype=np.int64)]
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file, columns=["operation", "sent_ns", "done_ns"])
        tasks = table.filter(pc.equal(table.column("operation").cast(pa.string()), "task"))
        found.append(np.asarray(pc.subtract(tasks.column("done_ns"), tasks.column("sent_ns")).to_numpy(), np.int64))
    return np.concatenate(found)


def _exact(document: Any, rows: Any, tasks: int) -> dict[str, Any]:
    """What must hold of a merged result, each by itself; the rows are read from its files here, not by the tool."""
    (repetition,) = document["repetitions"]
    told = repetition["phases"]["process"]["latency_ns"]
    ours = latency_of(replace(histogram_of(rows), samples=told["samples"]))  # a row is a task, a sample a statement
    return {
        "tasks": repetition["tasks"]["completed"],
        "all_completed": repetition["tasks"]["completed"] == repetition["tasks"]["expected"] == tasks,
        "rows": len(rows),
        "histogram_is_that_of_all_rows": len(rows) == tasks
        and all(value == getattr(ours, name) for name, value in told.items()),
        "audit_ok": repetition["audit"]["ok"],
        "all_did_work": all(host["tasks"] > 0 for host in document["hosts"]),
        "by_host": {host["name"]: host["tasks"] for host in document["hosts"]},
        "clock_error_ns": repetition["window"]["clock_error_ns"],
        "per_second": round(repetition["phases"]["process"]["per_second"], 1),
    }


def _held(found: dict[str, Any]) -> bool:
    return all(found[name] for name in ("all_completed", "histogram_is_that_of_all_rows", "audit_ok", "all_did_work"))


def local(tasks: int) -> dict[str, Any]:
    """Four agents here, on the embedded server."""
    code, document, said, rows = run(*load(tasks, 4), "--hosts", "local:4", *ONCE)
    if document is None:
        return {"proof": "local", "code": code, "said": said[-500:], "held": False}
    found = _exact(document, rows, tasks)
    return {"proof": "local", "code": code, **found, "held": code == 0 and len(found["by_host"]) == 4 and _held(found)}


def network(tasks: int) -> dict[str, Any]:
    """Two agents, a scheduler with the coordinator, and a database, each on a host of its own."""
    if why := namespaces.available():
        return {"proof": "network", "not_run": why, "held": False}
    dsn = f"host={ADDRESSES['db']} user=postgres dbname=postgres password='{PASSWORD}'"
    words = [*load(tasks, 2), "--hosts", f"tcp://{ADDRESSES['sched']}:8786", "--dsn", dsn, "--isolation", "clone"]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(namespaces.network(ADDRESSES))
        stack.enter_context(namespaces.postgres("db", ADDRESSES["db"], folder, PASSWORD))
        stack.enter_context(_cluster(folder))
        cutter = threading.Timer(0.0, lambda: None)
        command = namespaces.inside("sched", *STRESS, "run", *words, "--allow-remote", *ONCE, "-o", str(folder / "r"))
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            cutter = threading.Thread(target=_cut_in_process, args=(process, folder / "said"))
            cutter.start()
            code = process.wait(_SECONDS)
        cutter.join()
        text = (folder / "said").read_text()
        path = folder / "r" / "result.json"
        if not path.exists():
            return {"proof": "network", "code": code, "said": text[-800:], "held": False}
        document, rows = json.loads(path.read_text()), _latencies_ns(folder / "r" / "timings")
        scheduler_log = (folder / "dask.log").read_text(errors="replace")
    found = _exact(document, rows, tasks)
    incidents = document["repetitions"][0]["incidents"]
    held_up = [one for one in incidents if one["kind"] == "host held up" and one["subject"] == ADDRESSES["b"]]
    longest = max((float(one["detail"].split()[-2]) for one in held_up), default=0.0)
    found |= {
        "cut_is_told": longest >= CUT_SECONDS - 0.2,
        "incidents": [f"{one['kind']} {one['subject']}: {one['detail']}" for one in incidents],
        "password_is_nowhere": PASSWORD not in json.dumps(document) + text + scheduler_log,
        "real_addresses": sorted(found["by_host"]) == [ADDRESSES["a"], ADDRESSES["b"]],
    }
    held = (
        code == 0
        and _held(found)
        and all(found[name] for name in ("cut_is_told", "password_is_nowhere", "real_addresses"))
    )
    return {"proof": "network", "code": code, **found, "held": held}


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[None]:
    """A scheduler and a Dask worker on each of the two hosts; the password is in their environment alone."""
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    address = f"tcp://{ADDRESSES['sched']}:8786"
    scheduler, worker = DASK
    commands = [
        namespaces.inside("sched", *scheduler, "--host", ADDRESSES["sched"], "--port", "8786", "--no-dashboard"),
        *(
            namespaces.inside(
                host, *worker, address, "--host", ADDRESSES[host], "--nthreads", "1", "--no-dashboard", "--no-nanny",
                "--memory-limit", "0", "--local-directory", str(folder / host),
            )
            for host in ("a", "b")
        ),
    ]  # fmt: skip
    running = []
    with (folder / "dask.log").open("wb") as log:
        try:
            for command in commands:
                running.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
                )
            deadline = time.monotonic() + 60
            while (folder / "dask.log").read_text(errors="replace").count("Registered to:") < 2:
                if time.monotonic() > deadline:
                    raise SystemExit("the Dask workers did not come up: nothing is proven")
                time.sleep(0.1)
            yield
        finally:
            for one in reversed(running):
                one.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    one.wait(20)
                one.kill()
                one.wait()


def _cut_in_process(process: subprocess.Popen[bytes], said: Path) -> None:
    """Cut one agent's link a little into the window."""
    while process.poll() is None:
        if "phase process" in said.read_text():
            time.sleep(2.5)  # a second until the start, then into it
            namespaces.cut("b", CUT_SECONDS)
            return
        time.sleep(0.05)


def rate(pairs: int) -> dict[str, Any]:
    """The same load by two agents of a worker each and by two workers of one run, in turns on one server."""
    tasks, ratios = 40_000, []
    with open_target(TargetOptions(), lambda _line: None):  # it stays up in between
        for number in range(pairs + 1):
            rates = {}
            for way in ("agents", "plain") if number % 2 else ("plain", "agents"):
                more = ("--hosts", "local:2") if way == "agents" else ()
                code, document, said, _ = run(*load(tasks, 2), *more, *ONCE)
                if code or document is None:
                    raise SystemExit(f"a run ended with {code}: {said[-300:]}")
                rates[way] = document["repetitions"][0]["phases"]["process"]["per_second"]
            if number:  # the first pair is a warm-up
                ratios.append(rates["agents"] / rates["plain"])
                print(json.dumps({"pair": number, **{way: round(one, 1) for way, one in rates.items()}}), flush=True)
    drawn = np.median(np.random.default_rng(1).choice(ratios, (10_000, len(ratios))), axis=1)
    low, high = (float(end) for end in np.percentile(drawn, (2.5, 97.5)))
    median = statistics.median(ratios)
    return {"proof": "rate", "median": median, "ci95": [low, high], "pairs": pairs, "held": median >= LEAST_RATIO}


def kill(tasks: int) -> dict[str, Any]:
    """Kill an agent's process, then a Dask worker: each time one of two."""
    found = {what: _killed(what, tasks) for what in ("agent", "Dask worker")}
    return {"proof": "kill", **found, "held": all(one["held"] for one in found.values())}


def _killed(what: str, tasks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said")
        with said.open("wb") as stream:
            process = subprocess.Popen(
                [*STRESS, "run", *load(tasks, 2), "--hosts", "local:2", *ONCE, "-o", f"{folder}/r"],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            )  # fmt: skip
            family: dict[int, psutil.Process] = {}
            struck = 0
            while process.poll() is None:
                with contextlib.suppress(psutil.Error):
                    family |= {one.pid: one for one in psutil.Process(process.pid).children(recursive=True)}
                if not struck and "phase process" in said.read_text():
                    time.sleep(2.0)
                    struck = _strike(what, process.pid)
                time.sleep(0.1)
        left = _left(family)
        path = Path(folder, "r", "result.json")
        document = json.loads(path.read_text()) if path.exists() else None
        text = said.read_text()
    if document is None:
        return {"code": process.returncode, "said": text[-600:], "left": left, "held": False}
    (repetition,) = document["repetitions"]
    outcomes = repetition["tasks"]
    adds_up = outcomes["expected"] == tasks == sum(count for name, count in outcomes.items() if name != "expected")
    told = [one["detail"] for one in repetition["incidents"] if one["kind"] == "host lost"]
    held = bool(struck and process.returncode == 1 and told and adds_up and repetition["lost_worker"] and not left)
    return {"code": process.returncode, "tasks": outcomes, "told": told, "left": left, "held": held}


def _strike(what: str, coordinator: int) -> int:
    """Kill -9; the pid."""
    for one in psutil.Process(coordinator).children(recursive=True):
        parent = one.parent()
        line = " ".join(one.cmdline())
        is_agent = line.startswith("pgflow-stress: coordinator") and one.pid != coordinator
        if is_agent and parent is not None:
            pid = one.pid if what == "agent" else parent.pid
            os.kill(pid, signal.SIGKILL)
            return pid
    return 0


def _left(family: dict[int, psutil.Process]) -> list[str]:
    """Processes that outlived the run by more than the drain's time."""
    _, alive = psutil.wait_procs(list(family.values()), timeout=25)
    return [" ".join(one.cmdline())[:80] for one in alive if one.is_running()]


def main() -> int:
    """Run the proofs that were asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=["local", "network", "rate", "kill"])
    parser.add_argument("--tasks", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=20)
    given = parser.parse_args()
    held = True
    for name in given.proofs:
        proof = {"local": local, "network": network, "rate": rate, "kill": kill}[name]
        found = proof(given.pairs if name == "rate" else given.tasks)
        print(json.dumps(found), flush=True)
        held = held and bool(found["held"])
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
