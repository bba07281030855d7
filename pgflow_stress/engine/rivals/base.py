"""What a rival is given, what it gives back, and how its tasks are counted: from the database, as ours are."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Check, Json
from pgflow_stress.engine.audit import snapshot
from pgflow_stress.engine.chosen import Chosen
from pgflow_stress.engine.driver import payload
from pgflow_stress.engine.invariants import Invariants
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.target.base import Database

APPLICATION_NAME = "pgflow-stress: rival"
PRIME_BATCH, PRIME_BATCHES = 8, 8  # each statement eight times: the server plans it anew five times
VT_SECONDS = 3600  # nobody else reads: what is claimed is completed, however long it takes
_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Job:
    """One turn of a rival: the independent steps of one run, as our side has them."""

    database: Database
    nonce: int
    steps: int
    options: RunOptions

    @property
    def flow(self) -> str:
        """The slug of the flow that is measured."""
        return f"{self.database.slug_prefix}f0"

    @property
    def run(self) -> uuid.UUID:
        """The id of its run."""
        return run_id(self.nonce, 0)

    @property
    def batch(self) -> int:
        """Tasks of a poll and of a completing statement."""
        return self.options.completion_batch_size

    @property
    def output(self) -> str:
        """What each task gives."""
        return payload(self.options.payload_bytes)[1:].decode()  # without jsonb's version byte

    def cpus(self, role: str) -> tuple[int, ...]:
        """Those of --pin."""
        return dict(self.options.pin).get(role, ())


Figures = Mapping[str, float]  # by the name of the metric of ours that each is held against


class Rival(Protocol):
    """Drives a job in its own way; its module's `rival` makes it before any database, so that what lacks is told."""

    metrics: tuple[str, ...]  # what it has a figure of

    def about(self) -> Json:
        """What it is, with its version."""

    def drive(self, job: Job) -> Figures:
        """Complete every task of the job; a figure for each of `metrics`.

        Raises:
            RunFailed: it ended otherwise.
        """


@dataclass(frozen=True, slots=True)
class Counted:
    """What a database says of a flow after a turn."""

    tasks: int  # completed
    runs: int  # completed
    checks: tuple[Check, ...]  # pgflow's invariants


def connect(conninfo: str) -> psycopg.Connection[Any]:
    """A rival's connection, in autocommit."""
    return psycopg.connect(
        conninfo, autocommit=True, application_name=APPLICATION_NAME, connect_timeout=_CONNECT_SECONDS
    )


def count(job: Job) -> Counted:
    """Count what is completed, and check the invariants, in one snapshot."""
    with connect(job.database.conninfo) as connection, snapshot(connection):
        (tasks,) = connection.execute(
            "select count(*) from pgflow.step_tasks where flow_slug = %s and status = 'completed'", (job.flow,)
        ).fetchone() or (0,)
        (runs,) = connection.execute(
            "select count(*) from pgflow.runs where flow_slug = %s and status = 'completed'", (job.flow,)
        ).fetchone() or (0,)
        chosen = Chosen("{slug} = {flow}", values={"flow": job.flow})
        return Counted(int(tasks), int(runs), tuple(Invariants(connection, chosen).checks()))


def register(connection: psycopg.Connection[Any], job: Job) -> uuid.UUID:
    """A worker of ours in pgflow.workers; its id."""
    worker = uuid.uuid4()
    connection.execute(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (%s, %s, 'pgflow-stress')",
        (worker, job.database.slug_prefix),
    )
    return worker
