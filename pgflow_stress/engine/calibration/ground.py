"""What every measurement stands on: the target, how long a repeat lasts, and on which CPUs the two sides run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.target.base import Database, Target

APPLICATION_NAME = "pgflow-stress: calibrate"
_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Ground:
    """Given to each measurement."""

    target: Target
    seconds: float  # of one repeat
    worker_cpus: tuple[int, ...] = ()
    postgres_cpus: tuple[int, ...] = ()

    @contextlib.contextmanager
    def database(self) -> Iterator[tuple[Database, int]]:
        """A database of the target's for the length of the block, with its nonce; it is removed and that verified.

        Raises:
            SetUpFault: it could not be made.
            RunFailed: something of it stayed behind.
        """
        nonce = new_nonce()
        database = self.target.acquire(nonce)
        try:
            yield database, nonce
        finally:
            left = self.target.release(database)
        if left.leftovers:
            raise RunFailed(f"left behind: {'; '.join(left.leftovers)}")

    @contextlib.contextmanager
    def connection(self, conninfo: str) -> Iterator[psycopg.Connection[Any]]:
        """A connection in autocommit, its backend pinned where that was asked for."""
        connection = psycopg.connect(
            conninfo, autocommit=True, application_name=APPLICATION_NAME, connect_timeout=_CONNECT_SECONDS
        )
        try:
            pin_backend(connection.info.backend_pid, self.postgres_cpus)
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def as_worker(self) -> Iterator[None]:
        """Run this process, and what it starts meanwhile, on the workers' CPUs for the length of the block."""
        with on_cpus(self.worker_cpus):
            yield


@contextlib.contextmanager
def on_cpus(cpus: Sequence[int]) -> Iterator[None]:
    """Run on these CPUs for the length of the block; on any, where none is named."""
    before = os.sched_getaffinity(0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
