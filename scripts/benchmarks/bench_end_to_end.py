"""End to end tasks a second, N = 1,000: ours ÷ a client that does as pgflow's old benchmark script did.

That is: add_step one by one, one start_flow, one poll for everything, completions ten at a time on ten connections.
The client is psycopg 3 with ten threads, a connection each; ours is one worker process at the tool's defaults.
"""

from __future__ import annotations

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from driving import worker
from pairs import Figure, arguments, embedded, interleave, on_fresh, report
from pgflow_stress.core.arena import Word
from pgflow_stress.engine.driver import END_DONE
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.target.base import Database

CONNECTIONS = 10


def ours(database: Database, nonce: int, steps: int) -> float:
    """Tasks a second between the first create_flow sent and the last completion answered; nothing is pinned."""
    options = RunOptions(workers=1, steps=steps)
    with worker(database, nonce, options, 0, 1) as one:
        assert one.driver.create() == one.driver.start() == one.driver.process() == END_DONE
        return steps / one.seconds(Word.CREATE_FROM_NS, Word.PROCESS_TO_NS)


def theirs(database: Database, _nonce: int, steps: int) -> float:
    """The old script's way."""
    pool = [psycopg.connect(database.conninfo, autocommit=True) for _ in range(CONNECTIONS)]
    first = pool[0]
    worker_id = "00000000-0000-4000-8000-000000000001"
    first.execute(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'old', 'old')", (worker_id,)
    )

    def complete(part: list[tuple[Any, ...]], connection: psycopg.Connection[Any]) -> None:
        for run, step, index in part:
            connection.execute("select * from pgflow.complete_task(%s, %s, %s, %s)", (run, step, index, '{"ok": true}'))

    begin = time.perf_counter()
    first.execute("select pgflow.create_flow('old')")
    for step in range(steps):
        first.execute("select pgflow.add_step('old', %s)", (f"s{step}",))
    first.execute("select * from pgflow.start_flow('old', '{}'::jsonb)")
    ids = [row[0] for row in first.execute("select msg_id from pgmq.read('old', 60, %s)", (steps,)).fetchall()]
    tasks = first.execute(
        "select run_id, step_slug, task_index from pgflow.start_tasks('old', %s, %s)", (ids, worker_id)
    ).fetchall()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for begin_of_ten in range(0, len(tasks), CONNECTIONS):
            ten = tasks[begin_of_ten : begin_of_ten + CONNECTIONS]
            list(threads.map(complete, [[task] for task in ten], pool))
    seconds = time.perf_counter() - begin
    left = first.execute("select count(*) from pgflow.runs where status <> 'completed'").fetchone()
    assert left == (0,) and len(tasks) == steps
    for connection in pool:
        connection.close()
    return steps / seconds


def main() -> None:
    """Print the figure."""
    given = arguments(__doc__ or "", tasks=1000)
    with embedded() as target:
        sides = [on_fresh(target, functools.partial(side, steps=given.tasks)) for side in (ours, theirs)]
        a, b = interleave(given.pairs, sides[0], sides[1], "end to end")
    name = "end to end, ours / the old script's way (psycopg, 10 threads)"
    report([Figure(name, "tasks/s", a, b, ">= 2")], given.output)


if __name__ == "__main__":
    main()
