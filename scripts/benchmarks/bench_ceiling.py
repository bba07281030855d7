"""Tasks a second of independent steps of one run, poll and batch 100: our worker ÷ the same loop inside the server."""

from __future__ import annotations

import functools

from driving import connect, worker
from pairs import Figure, arguments, embedded, interleave, on_fresh, report
from pgflow_stress.core.arena import Word
from pgflow_stress.core.ids import run_id
from pgflow_stress.engine.calibration import ceiling
from pgflow_stress.engine.driver import END_DONE
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.target.base import Database

BATCH = 100
PRIME_STEPS, PRIME_BATCH = 48, 8  # as our worker primes


def ours(database: Database, nonce: int, tasks: int, client_cpu: int, server_cpu: int) -> float:
    """Between the first poll sent and the last completion answered."""
    options = RunOptions(workers=1, steps=tasks, poll_size=BATCH, completion_batch_size=BATCH)
    with worker(database, nonce, options, client_cpu, server_cpu) as one:
        assert one.driver.create() == one.driver.start() == one.driver.process() == END_DONE
        return tasks / one.seconds(Word.PROCESS_FROM_NS, Word.PROCESS_TO_NS)


def theirs(database: Database, nonce: int, tasks: int, client_cpu: int, server_cpu: int) -> float:
    """A PL/pgSQL procedure with COMMIT between the three statements; no client between them."""
    with connect(database, client_cpu, server_cpu) as connection:
        worker_id = ceiling.make_ready(connection, database)
        primed = ceiling.start(connection, f"{database.slug_prefix}p", run_id(nonce, 1), PRIME_STEPS)
        ceiling.drain(connection, primed, worker_id, PRIME_STEPS, PRIME_BATCH)
        flow = ceiling.start(connection, f"{database.slug_prefix}f0", run_id(nonce, 0), tasks)
        return ceiling.drain(connection, flow, worker_id, tasks, BATCH).tasks_per_second


def main() -> None:
    """Print the figure."""
    given = arguments(__doc__ or "", tasks=5000)
    cpus = {"client_cpu": given.client_cpu, "server_cpu": given.server_cpu}
    with embedded() as target:
        sides = [on_fresh(target, functools.partial(side, tasks=given.tasks, **cpus)) for side in (ours, theirs)]
        a, b = interleave(given.pairs, sides[0], sides[1], "ceiling")
    report([Figure("tasks/s, batch, one worker / the loop in the server", "tasks/s", a, b, ">= 0.98")], given.output)


if __name__ == "__main__":
    main()
