"""The user's own jobs of retention, run while workers work: each on a connection of its own, timed, rows counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.scenario.soak import PruneSpec
from pgflow_stress_hot.clock import monotonic_ns

MOST_KEPT = 500  # times that are told one by one
_CANCEL_SECONDS = 2.0


@dataclass(slots=True)
class Times:
    """How often a job ran and how long; bounded, however often that was."""

    count: int = 0
    failed: int = 0
    rows: int = 0
    seconds: float = 0.0
    longest_seconds: float = 0.0
    first_error: str = ""
    each: list[Json] = field(default_factory=list)

    def add(self, at_ns: int, seconds: float, rows: int, error: str) -> None:
        """One more."""
        self.count += 1
        self.failed += bool(error)
        self.rows += max(0, rows)
        self.seconds += seconds
        self.longest_seconds = max(self.longest_seconds, seconds)
        self.first_error = self.first_error or error
        if len(self.each) < MOST_KEPT:
            self.each.append({"at_ns": at_ns, "seconds": round(seconds, 4), "rows": rows, "error": error})


class Pruner:
    """One job, in a thread of its own."""

    def __init__(self, spec: PruneSpec, conninfo: str) -> None:
        """Nothing is connected yet."""
        self.spec = spec
        self.times = Times()
        self.backend = 0
        self._conninfo = conninfo
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def prepare(self) -> None:
        """Connect, and have the server parse the statement.

        Raises:
            SetUpFault: it cannot, or the statement is none.
        """
        try:
            self._connection = psycopg.connect(
                self._conninfo, autocommit=True, application_name="pgflow-stress: prune", connect_timeout=10
            )
        except psycopg.Error as error:
            raise SetUpFault(f"--prune: no connection: {_line(error)}") from None
        self.backend = self._connection.info.backend_pid
        parsed = self._connection.pgconn.prepare(b"", self.spec.sql.encode())
        if parsed.status != psycopg.pq.ExecStatus.COMMAND_OK:
            said = parsed.error_message.decode(errors="replace").strip().splitlines()
            raise SetUpFault(f"--prune {self.spec.text!r}: {said[0] if said else 'it is no statement'}")

    def begin(self, begin_ns: int, end_ns: int) -> None:
        """Run it from now on, at begin + every, begin + 2 every, … until the end."""
        self._thread = threading.Thread(target=self._work, args=(begin_ns, end_ns), name="prune", daemon=True)
        self._thread.start()

    def end(self, patience_seconds: float) -> None:
        """No more of them; one that is under way is waited for so long, then cancelled."""
        self._over.set()
        if self._thread is None or self._connection is None:
            return
        self._thread.join(patience_seconds)
        if self._thread.is_alive():
            self._connection.cancel()
            self._thread.join(_CANCEL_SECONDS)

    def close(self) -> None:
        """Close its connection."""
        self._over.set()
        if self._connection is not None:
            self._connection.close()

    def as_json(self, origin_ns: int) -> Json:
        """As the result has it."""
        times = self.times
        return {
            "sql": self.spec.sql,
            "every_seconds": self.spec.every_seconds,
            "count": times.count,
            "failed": times.failed,
            "rows": times.rows,
            "mean_seconds": times.seconds / times.count if times.count else None,
            "longest_seconds": times.longest_seconds if times.count else None,
            "first_error": times.first_error,
            "each": [{**one, "at_ns": one["at_ns"] - origin_ns} for one in times.each],
        }

    def _work(self, begin_ns: int, end_ns: int) -> None:
        every_ns = round(self.spec.every_seconds * NS_PER_SECOND)
        due_ns = begin_ns + every_ns
        while due_ns <= end_ns:
            if self._over.wait(max(0.0, (due_ns - monotonic_ns()) / NS_PER_SECOND)):
                return
            self._run()
            # One that takes longer than its time is not made up for.
            due_ns = max(due_ns + every_ns, begin_ns + (monotonic_ns() - begin_ns) // every_ns * every_ns + every_ns)

    def _run(self) -> None:
        began_ns, rows, error = monotonic_ns(), 0, ""
        try:
            if self._connection is None or self._connection.closed or self._connection.broken:
                self._connection = psycopg.connect(
                    self._conninfo, autocommit=True, application_name="pgflow-stress: prune", connect_timeout=10
                )
            rows = self._connection.execute(self.spec.sql.encode()).rowcount
        except psycopg.Error as fault:
            error = _line(fault)
        self.times.add(began_ns, (monotonic_ns() - began_ns) / NS_PER_SECOND, rows, error)


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
