"""The loop inside the server: the same three statements in PL/pgSQL, a transaction each, no client between them."""

from __future__ import annotations

from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Json
from pgflow_stress.engine.calibration import ceiling
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.engine.rivals.base import PRIME_BATCH, PRIME_BATCHES, Figures, Job, connect
from pgflow_stress.scenario.options import RunOptions


class Server:
    """What no client can exceed on one connection; `ceiling.sql` is its text."""

    metrics = ("process.per_second",)

    def about(self) -> Json:
        """What it is."""
        return {"what": "a PL/pgSQL loop over read, start_tasks and complete_task of a batch", "primed": True}

    def drive(self, job: Job) -> Figures:
        """As calibrate's ceiling is measured: primed on a flow of its own, then the run drained."""
        with connect(job.database.conninfo) as connection:
            pin_backend(connection.info.backend_pid, job.cpus("postgres"))
            worker = ceiling.make_ready(connection, job.database)
            primes = PRIME_BATCH * PRIME_BATCHES
            primed = ceiling.start(connection, f"{job.database.slug_prefix}p", run_id(job.nonce, 1), primes)
            ceiling.drain(connection, primed, worker, primes, PRIME_BATCH, job.output)
            ceiling.start(connection, job.flow, job.run, job.steps)
            done = ceiling.drain(connection, job.flow, worker, job.steps, job.batch, job.output)
        return {"process.per_second": done.tasks_per_second}


def rival(_options: RunOptions, _wants_tls: bool) -> Server:
    """It needs nothing."""
    return Server()
