"""The edge-worker model against pgflow's own client from npm: the same tasks, the same statements.

Both complete 1,000 tasks of one flow with one worker, on the embedded server with pg_stat_statements. Compared by text,
white space aside: the top-level statements that touch pgflow or pgmq, and their calls a task. The worker's loop around
the client is not on npm (edge-worker is published elsewhere, for Deno): its reads and waits are written down in
_npm_worker.mjs, and its heartbeat, a statement of edge-worker's own, is told apart.

Needs node and npm, which fetches @pgflow/core and postgres.js. Prints a line of JSON a statement, then one over all.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from _planted import tell, tool

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import psycopg  # noqa: E402

from pgflow_stress.core.ids import new_nonce  # noqa: E402
from pgflow_stress.engine.control import Control  # noqa: E402
from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402

STATEMENTS = "shared_preload_libraries=pg_stat_statements"
PACKAGES = ("@pgflow/core@0.8.1", "postgres@3.4.5")
HEARTBEAT = "last_heartbeat_at"
Calls = dict[str, int]


def same(text: str) -> str:
    """A statement's text without what white space and a semicolon make of it."""
    text = re.sub(r"\s+", " ", text).strip().rstrip(";").strip()
    return re.sub(r"\s*([(),])\s*", r"\1", text)


def hot(statements: list[dict[str, Any]]) -> Calls:
    """Calls of the top-level statements that a worker sends."""
    names = ("pgmq.read_with_poll(", "pgflow.start_tasks(", "pgflow.complete_task(", "pgflow.fail_task(", HEARTBEAT)
    found: Calls = {}
    for one in statements:
        if one["top_level"] and any(name in one["query"] for name in names):
            found[same(one["query"])] = found.get(same(one["query"]), 0) + one["calls"]
    return found


def of_npm(tasks: int) -> Calls:
    """What the client from npm sends for so many tasks."""
    with (
        open_target(TargetOptions(pg_settings=(tuple(STATEMENTS.split("=")),)), lambda _line: None, {}) as target,
        tempfile.TemporaryDirectory(prefix="pgflow-npm-") as folder,
    ):
        quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
        subprocess.run(
            ["npm", "install", "--prefix", folder, *quietly, *PACKAGES], check=True, stdin=subprocess.DEVNULL
        )
        database = target.acquire(new_nonce())
        control = Control(database.conninfo)
        try:
            flow, worker = f"{database.slug_prefix}npm", str(uuid.uuid4())
            _create(control.connection, flow, worker, tasks)
            control.settle()
            info = control.connection.info
            where = (info.host, str(info.port), info.dbname, flow, worker, str(tasks))
            script = Path(__file__).with_name("_npm_worker.mjs")
            subprocess.run(["node", script, folder, *where], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            return hot(control.statements())
        finally:
            control.close()
            target.release(database)


def _create(connection: psycopg.Connection[Any], flow: str, worker: str, tasks: int) -> None:
    connection.execute("select pgflow.create_flow(%s)", (flow,))
    connection.execute("select count(pgflow.add_step(%s, 's' || i)) from generate_series(1, %s) i", (flow, tasks))
    connection.execute("select pgflow.start_flow(%s, '{}')", (flow,))
    connection.execute(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'npm')", (worker, flow)
    )


def of_ours(*arguments: object) -> Calls:
    """What the tool's edge-worker sends."""
    code, document = tool(
        "run", *arguments, "--worker-model", "edge-worker", "--workers", 1, "--repetitions", 1, "--warmup", 0,
        "--pg-setting", STATEMENTS,
    )  # fmt: skip
    if code or document is None or not document["repetitions"][0]["audit"]["ok"]:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    return hot(document["repetitions"][0]["server"]["statements"])


def compare(npm: Calls, ours: Calls, failing: Calls, tasks: int) -> bool:
    """Tell each statement of either; whether all are equal."""
    held = True
    for text in sorted({*npm, *ours}):
        if HEARTBEAT in text:
            tell(statement=text, ours=ours.get(text, 0), npm="of edge-worker's own, not on npm")
            continue
        if "pgflow.fail_task(" in text:
            equal = text in failing
            tell(statement=text, npm=npm.get(text, 0), ours_in_retries=failing.get(text, 0), equal=equal)
        else:
            a_task = [calls.get(text, 0) / tasks for calls in (ours, npm)]
            equal = a_task[0] == a_task[1]
            tell(statement=text, ours_per_task=a_task[0], npm_per_task=a_task[1], equal=equal)
        held = held and equal
    return held


def main() -> int:
    """Run the proof; 1 where it did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1000)
    given = parser.parse_args()
    npm = of_npm(given.tasks)
    ours = of_ours("single-flow", "--steps", given.tasks, "--vt", 60)
    failing = of_ours("retries", "--runs", 5, "--flows", 1, "--failure-probability", 0.5, "--base-delay", 0)
    held = compare(npm, ours, failing, given.tasks) and len(npm) == 4
    tell(proof="edge-worker", tasks=given.tasks, statements=len(npm), held=held)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
