"""What callgrind counts: recorded events, and cycles over a recorded byte stream. One of its modes a call.

instructions.py record FILE     make the stream, on the embedded server
instructions.py events N        record N events
instructions.py cycle FILE      poll, claim and complete what the stream holds
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

BATCH = 100


def events(count: int) -> None:
    """Record this many events into a small region."""
    from pgflow_stress.engine.private_books import new_region
    from pgflow_stress_hot.recorder import record_events

    record_events(new_region(4096).region, count)


def _drive(folder: str, parameters: str, nonce: int, slug_prefix: str, steps: int) -> None:
    import psycopg

    from pgflow_stress.core.arena import ArenaSize, Word
    from pgflow_stress.core.ids import run_id
    from pgflow_stress.engine.driver import END_DONE, Driver
    from pgflow_stress.engine.orders import WorkerOrder, flow_slugs
    from pgflow_stress.engine.private_books import new_books
    from pgflow_stress.engine.statements import statements
    from pgflow_stress.scenario.options import RunOptions
    from pgflow_stress.scenario.plan import make_plan

    options = RunOptions(workers=1, steps=steps, poll_size=BATCH, completion_batch_size=BATCH)
    plan = make_plan("single-flow", options)
    books = new_books(plan.work, flow_slugs(slug_prefix, plan.work), nonce, 4 * steps)
    order = WorkerOrder(
        0, 0, ArenaSize(1, 1, 1, steps, 4 * steps), "", True, bytes(16), run_id(nonce, 0).bytes, slug_prefix,
        plan.work, options,
    )  # fmt: skip
    connection = psycopg.connect(f"host={folder} port=5432 {parameters} gssencmode=disable", autocommit=True)
    for statement in statements(options.creation, options.completion, options.empty_poll):
        connection.pgconn.prepare(statement.name, statement.sql, statement.types)
    driver = Driver(order, books.account, connection, books.header)
    ends = [driver.create(), driver.start(), driver.process()]
    connection.close()
    if ends != [END_DONE] * 3 or books.private.words[Word.TASKS_COMPLETED] != steps:
        sys.exit(
            f"the stream was not driven to its end: {ends}, {books.private.words[Word.TASKS_COMPLETED]} of {steps}"
        )


def record(path: Path) -> None:
    """Drive 1,000 steps on a real server, and keep what it answered."""
    import psycopg

    from pairs import embedded, fresh
    from replay import Recorder, save

    steps = 1000
    with embedded() as target, fresh(target) as (database, nonce), tempfile.TemporaryDirectory() as folder:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            connection.execute(
                "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, 'q', 'benchmark')",
                (bytes(16).hex(),),
            )
            server = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
        recorder = Recorder(Path(folder), server)
        parameters = f"dbname={database.name} user=postgres"
        _drive(folder, parameters, nonce, database.slug_prefix, steps)
        save(path, recorder.answers, nonce=nonce, slug_prefix=database.slug_prefix, steps=steps)


def cycle(path: Path) -> None:
    """Drive the recorded stream."""
    from pgflow_stress.core.libpq import choose
    from replay import load, play

    choose(embedded=True, wants_tls=False)
    answers, about = load(path)
    with tempfile.TemporaryDirectory() as folder:
        child = play(Path(folder), answers)
        _drive(folder, "dbname=x user=x", about["nonce"], about["slug_prefix"], about["steps"])
        os.waitpid(child, 0)


if __name__ == "__main__":
    mode, value = sys.argv[1:]
    {"events": lambda: events(int(value)), "record": lambda: record(Path(value)), "cycle": lambda: cycle(Path(value))}[
        mode
    ]()
