"""Client CPU a task in single, pipeline and batch, ours ÷ pgbench 18 sending the same statements.

Independent steps of one run; both sides poll and complete by 100. pgbench's figure is its whole process less that of
an empty run: one statement that sleeps.
"""

from __future__ import annotations

import functools

from driving import worker
from pairs import Figure, arguments, embedded, interleave, on_fresh, report
from pgbench import cycle_script, run
from pgflow_stress.engine.driver import END_DONE
from pgflow_stress.scenario.options import Mode, RunOptions
from pgflow_stress.target.base import Database

BATCH = 100
REACH = {Mode.SINGLE: "<= 0.9", Mode.PIPELINE: "<= 0.9", Mode.BATCH: "<= 1.1"}


def _options(mode: Mode, tasks: int) -> RunOptions:
    return RunOptions(
        workers=1, steps=tasks, completion=mode, poll_size=BATCH, completion_batch_size=BATCH, payload_bytes=2
    )


def ours(database: Database, nonce: int, mode: Mode, tasks: int, client_cpu: int, server_cpu: int) -> float:
    """CPU ns a task of our process phase."""
    options = _options(mode, tasks)
    with worker(database, nonce, options, client_cpu, server_cpu) as one:
        assert one.driver.create() == one.driver.start() == one.driver.process() == END_DONE
        return one.cpu_ns() / tasks


def theirs(database: Database, nonce: int, mode: Mode, tasks: int, client_cpu: int, server_cpu: int) -> float:
    """CPU ns a task of pgbench, less what it takes to do nothing."""
    options = _options(mode, tasks)
    with worker(database, nonce, options, client_cpu, server_cpu) as one:
        assert one.driver.create() == one.driver.start() == END_DONE
        (worker_id,) = one.connection.execute("select worker_id::text from pgflow.workers limit 1").fetchone() or ("",)
        empty = run(database.conninfo, "select pg_sleep(0.2);\n", 1, client_cpu, server_cpu).cpu_ns
        script = cycle_script(one.flow, worker_id, mode, BATCH, "{}")
        whole = run(database.conninfo, script, tasks // BATCH, client_cpu, server_cpu).cpu_ns
        query = "select count(*) from pgflow.runs where status <> 'completed' and flow_slug = %s"
        left = one.connection.execute(query, (one.flow,)).fetchone()
        assert left == (0,), "pgbench did not complete the run"
        return (whole - empty) / tasks


def main() -> None:
    """Print a line a mode."""
    given = arguments(__doc__ or "", tasks=5000)
    cpus = {"client_cpu": given.client_cpu, "server_cpu": given.server_cpu}
    with embedded() as target:
        for mode, reach in REACH.items():
            sides = [
                on_fresh(target, functools.partial(side, mode=mode, tasks=given.tasks, **cpus))
                for side in (ours, theirs)
            ]
            a, b = interleave(given.pairs, sides[0], sides[1], f"client cpu {mode}")
            report([Figure(f"client CPU a task, {mode} / pgbench 18", "ns", a, b, reach)], given.output)


if __name__ == "__main__":
    main()
