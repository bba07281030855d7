"""Runs through PgBouncer: every task done once, every event stored once, waiting clients seen where the pool is small.

    session      a pool that has a backend for each worker
    transaction  half as many backends as workers, so that clients wait; nothing is prepared where it keeps nothing
    batch        the same, a statement for many completions
    lost         transaction mode, and a worker is killed: what it had in hand is done by its replacement
    small        session mode with fewer backends than workers: refused, code 3

On the embedded server, with PgBouncer from the test set-up. Prints a line of JSON a proof.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pgflow_stress.core.libpq import choose  # noqa: E402

choose(embedded=True, wants_tls=False)

import psutil  # noqa: E402
import psycopg  # noqa: E402

from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.choice import choose_target  # noqa: E402
from pgflow_stress.target.embedded import EmbeddedTarget  # noqa: E402
from pgflow_stress.target.installing import install_into  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402
from tests.fixtures.bouncer import bouncing  # noqa: E402

SHOP = "pooler_proof"
TASKS_A_RUN = 5
WORKERS = 4
EXIT_SET_UP = 3


def measure(
    target: EmbeddedTarget, tasks: int, mode: str, pool_size: int, *more: object, kill: bool = False
) -> tuple[int, Any, str]:
    """One run of the tool through a pooler: exit code, document, what it said; with a worker killed in it."""
    output = Path(tempfile.mkdtemp(prefix="pgflow-stress-prove-")) / "r.json"
    server = target.conninfo("postgres")
    with bouncing(server, pool_mode=mode, default_pool_size=pool_size) as bouncer:
        command = [
            sys.executable, "-m", "pgflow_stress.cli.main", "run", "concurrent-flows", "--flows", 4,
            "--steps", TASKS_A_RUN, "--runs", tasks // TASKS_A_RUN, "--workers", WORKERS, "--repetitions", 1,
            "--warmup", 0, "--timeout", 3600, "--events", "wal", "--dsn", bouncer.dsn(SHOP),
            "--direct-dsn", target.conninfo(SHOP), "--pooler-admin-dsn", bouncer.dsn("pgbouncer"),
            "--json", output, *more,
        ]  # fmt: skip
        with subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stderr is not None
            said = []
            for line in running.stderr:
                said.append(line)
                if kill and line.startswith("phase process"):
                    kill_a_worker(running.pid)
        document = json.loads(output.read_text()) if output.exists() else None
        return running.returncode, document, "".join(said)


def kill_a_worker(coordinator: int) -> None:
    """kill -9 of the first worker, half a second into the phase."""
    time.sleep(0.5)
    for process in psutil.Process(coordinator).children(recursive=True):
        if process.cmdline()[:1] == ["pgflow-stress: worker 0"]:
            process.kill()
            return
    raise RuntimeError("no worker was found")


def exact(name: str, found: tuple[int, Any, str], *, waits: bool) -> dict[str, Any]:
    """What is shown of a run that was to be whole."""
    code, document, said = found
    if document is None:
        return {"proof": name, "code": code, "said": said[-500:], "held": False}
    (repetition,) = document["repetitions"]
    tasks, events = repetition["tasks"], repetition["events"]
    (pool,) = (pool for name, pool in repetition["telemetry"]["pools"].items() if pool["clients_active"] > 1)
    lost = events["missing"] + events["duplicate"] + events["unexpected"]
    whole = (
        code == 0
        and repetition["audit"]["ok"]
        and tasks["completed"] == tasks["expected"]
        and events["expected"] == events["stored"]
        and lost == 0
    )
    return {
        "proof": name,
        "code": code,
        "pooler": document["environment"]["postgres"]["pooler"],
        "tasks": tasks["completed"],
        "events": sum(events["stored"].values()),
        "lost_or_twice": lost,
        "audit": repetition["audit"]["ok"],
        "tasks_per_second": round(repetition["phases"]["process"]["per_second"]),
        "most_clients_waiting": pool["clients_waiting"],
        "most_servers_active": pool["servers_active"],
        "longest_wait_ms": round(pool["longest_wait_ns"] / 1e6, 1),
        "held": whole and (pool["clients_waiting"] > 0 or not waits),
    }


def session(target: EmbeddedTarget, tasks: int) -> dict[str, Any]:
    """A backend for each worker."""
    return exact("session", measure(target, tasks, "session", WORKERS, "--completion", "pipeline"), waits=False)


def transaction(target: EmbeddedTarget, tasks: int) -> dict[str, Any]:
    """Half as many backends as workers, a statement each."""
    found = measure(target, tasks, "transaction", WORKERS // 2, "--completion", "pipeline")
    return exact("transaction", found, waits=True)


def batch(target: EmbeddedTarget, tasks: int) -> dict[str, Any]:
    """Half as many backends as workers, a statement for many, in a database of its own."""
    found = measure(target, tasks, "transaction", WORKERS // 2, "--completion", "batch", "--isolation", "clone")
    return exact("batch", found, waits=True)


def lost(target: EmbeddedTarget, tasks: int) -> dict[str, Any]:
    """A worker killed: which backend its last statement is on cannot be told."""
    done = measure(target, tasks, "transaction", WORKERS // 2, "--completion", "single", kill=True)
    found = exact("lost", done, waits=True)
    incidents = [] if done[1] is None else [one["kind"] for one in done[1]["repetitions"][0]["incidents"]]
    replaced = "worker replaced" in incidents
    return {**found, "incidents": incidents, "held": found["held"] and replaced}


def small(target: EmbeddedTarget, tasks: int) -> dict[str, Any]:
    """Sessions that would wait for each other for ever."""
    code, document, said = measure(target, tasks, "session", WORKERS // 2)
    return {
        "proof": "small",
        "code": code,
        "said": said.strip(),
        "held": code == EXIT_SET_UP and document is None and "pool_size" in said,
    }


@contextlib.contextmanager
def shop(target: EmbeddedTarget) -> Iterator[None]:
    """A database with pgflow on the embedded server, for as long as a block lasts."""
    _execute(target, f"drop database if exists {SHOP} with (force)")
    _execute(target, f"create database {SHOP}")
    options = TargetOptions(dsn=target.conninfo(SHOP), dsn_typed=True)
    install_into(options, choose_target(options, {}), lambda _line: None)
    try:
        yield
    finally:
        _execute(target, f"drop database if exists {SHOP} with (force)")


def _execute(target: EmbeddedTarget, statement: str) -> None:
    with psycopg.connect(target.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


PROOFS: dict[str, Callable[[EmbeddedTarget, int], dict[str, Any]]] = {
    "session": session,
    "transaction": transaction,
    "batch": batch,
    "lost": lost,
    "small": small,
}


def main() -> int:
    """Run the proofs asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=list(PROOFS))
    parser.add_argument("--tasks", type=int, default=10_000)
    given = parser.parse_args()
    held = True
    with open_target(TargetOptions(), lambda _line: None, {}) as target:
        assert isinstance(target, EmbeddedTarget)
        with shop(target):
            for proof in given.proofs:
                found = PROOFS[proof](target, given.tasks)
                held = held and bool(found["held"])
                print(json.dumps(found), flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
