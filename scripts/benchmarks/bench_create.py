"""Steps created a second: our batch mode ÷ a loop of awaited `select pgflow.add_step(…)` on one connection."""

from __future__ import annotations

import functools
import time

from driving import connect, worker
from pairs import Figure, arguments, embedded, interleave, on_fresh, report
from pgflow_stress.core.arena import Word
from pgflow_stress.engine.driver import END_DONE
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.target.base import Database


def ours(database: Database, nonce: int, steps: int, client_cpu: int, server_cpu: int) -> float:
    """Steps a second between the first create_flow sent and the last add_step answered."""
    options = RunOptions(workers=1, steps=steps)
    with worker(database, nonce, options, client_cpu, server_cpu) as one:
        assert one.driver.create() == END_DONE
        return steps / one.seconds(Word.CREATE_FROM_NS, Word.CREATE_TO_NS)


def theirs(database: Database, _nonce: int, steps: int, client_cpu: int, server_cpu: int) -> float:
    """The same of a client that waits for each answer; psycopg, prepared."""
    with connect(database, client_cpu, server_cpu) as connection:
        for flow in ("warm", "measured"):
            count = 10 if flow == "warm" else steps
            begin = time.perf_counter()
            connection.execute("select pgflow.create_flow(%s)", (flow,), prepare=True)
            for step in range(count):
                connection.execute("select pgflow.add_step(%s, %s)", (flow, f"s{step}"), prepare=True)
            seconds = time.perf_counter() - begin
    return steps / seconds


def main() -> None:
    """Print the figure."""
    given = arguments(__doc__ or "", tasks=5000)
    with embedded() as target:
        sides = [
            on_fresh(
                target,
                functools.partial(side, steps=given.tasks, client_cpu=given.client_cpu, server_cpu=given.server_cpu),
            )
            for side in (ours, theirs)
        ]
        a, b = interleave(given.pairs, sides[0], sides[1], "create")
    report([Figure("steps created, batch / awaited add_step", "steps/s", a, b, ">= 5")], given.output)


if __name__ == "__main__":
    main()
