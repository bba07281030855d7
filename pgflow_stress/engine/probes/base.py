"""What a probe is, and what it works with."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from pgflow_stress.core.arena import Arena, Word
from pgflow_stress.engine.orders import SamplerOrder
from pgflow_stress.engine.sampler_book import Book
from pgflow_stress.engine.sizing import observer_regions, starter_regions
from pgflow_stress.target.pooler import backend_of

_CONNECT_SECONDS = 5
_STATEMENT_MS = 2000  # most time of one statement of ours: a sampler that hangs samples nothing


class Unseen(Exception):
    """A probe cannot see anything here; one line says why."""


@dataclass
class Means:
    """What all probes of one sampler share."""

    arena: Arena
    order: SamplerOrder
    book: Book
    backends: dict[int, str] = field(default_factory=dict)  # pid -> what it is for, as pg_stat_activity last said
    postmaster: int | None = None
    _names: dict[int, tuple[str, str]] = field(default_factory=dict)  # by region
    _connection: psycopg.Connection[Any] | None = None

    @property
    def full(self) -> bool:
        """Whether all was asked for, at whatever cost."""
        return self.order.level == "full"

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The sampler's own, opened again where it was lost.

        Raises:
            psycopg.Error: it cannot be had.
        """
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(
                self.order.conninfo,
                autocommit=True,
                application_name="pgflow-stress: sampler",
                connect_timeout=_CONNECT_SECONDS,
                prepare_threshold=1,
            )
            self._connection.execute(f"set statement_timeout = {_STATEMENT_MS}")
            if self.order.profiled:
                self._leave_views_alone(self._connection)
            self.arena.words[self.order.region, Word.BACKEND_PID] = backend_of(self._connection)
        return self._connection

    @property
    def backend(self) -> int:
        """The backend of this connection."""
        return int(self.arena.words[self.order.region, Word.BACKEND_PID])

    @staticmethod
    def _leave_views_alone(connection: psycopg.Connection[Any]) -> None:
        """Keep our statements out of the views that are read; where the role may not, they are told from the job's."""
        for setting in ("track_activities = off", "pg_stat_statements.track = 'none'"):
            with contextlib.suppress(psycopg.Error):
                connection.execute(f"set {setting}")

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def of_region(self, region: int) -> tuple[str, str]:
        """(role, subject) of the process that was forked into a region of the arena."""
        if region not in self._names:
            self._names[region] = self._name(region)
        return self._names[region]

    def _name(self, region: int) -> tuple[str, str]:
        size = self.arena.size
        if region == self.order.region:
            return "sampler", "sampler"
        if region in observer_regions(size):
            return "observer", "observer"
        starters = starter_regions(size)
        if region in starters:
            return "starter", f"starter {region - starters.start}"
        replaces = int(self.arena.words[region, Word.REPLACES])
        if replaces:
            return "worker", self.of_region(replaces - 1)[1]
        return "worker", f"worker {region}"

    def regions(self) -> list[int]:
        """Those that a process was forked into."""
        pids = self.arena.words[:, Word.PID].tolist()
        return [region for region in range(len(pids)) if pids[region]]


class Probe(Protocol):
    """One kind of telemetry; what goes wrong in one of its calls leaves the others alone."""

    def __init__(self, means: Means) -> None:
        """Raises Unseen or psycopg.Error where it can see nothing here; nothing is sampled yet."""

    def begin(self) -> None:
        """What may take its time, before the window."""

    def beat(self) -> None:
        """Several times a tick: what has no counter and can only be looked at."""

    def tick(self) -> None:
        """Once an interval, and at the window's two ends."""

    def boundary(self) -> None:
        """At the borders of phases, and at the window's two ends."""

    def end(self) -> None:
        """What may take its time, after the window."""


class Quiet:
    """A probe that does nothing at any of the moments; for those that are about some of them."""

    def begin(self) -> None:
        """Nothing."""

    def beat(self) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""

    def boundary(self) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
