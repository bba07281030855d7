"""The gate between a host's preparations and its window: hosts pass it together, and wait behind it for the last.

Behind it because the audit reads every row: beside a host that still works it would be work that nobody measures. A
host says that it is in a window by an advisory lock on the shared database, which is gone with its session.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.host_clock import ClockReading, HostClock, why_not_related
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.control import Control
from pgflow_stress.engine.hosts.relating import read_clock, relate, server_of
from pgflow_stress.engine.hosts.starts import Start, Starts, seconds
from pgflow_stress.target.naming import HOSTS_LOCK

_LEAD_NS = NS_PER_SECOND // 2  # before the start: time for the readings before the window
_SLEEP_SECONDS = 0.05
_LAST_SLEEP_SECONDS = 0.0005
_POLL_SECONDS = 0.1
_OTHERS = """
select count(*) from pg_locks
where locktype = 'advisory' and classid = %(lock)s::oid and objid = %(index)s::oid and objsubid = 2 and granted
and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()
"""

Check = Callable[[], None]  # raises what is to end the waiting


@dataclass(slots=True)
class _Passage:
    """One repetition's."""

    index: int
    server: str
    before: ClockReading
    start: Start | None = None


class Gate:
    """One host's."""

    def __init__(self, host: str, starts: Starts, patience_seconds: float) -> None:
        """Nothing is asked yet.

        Args:
            host: its id, for messages and the result.
            starts: when repetitions start.
            patience_seconds: how long the other hosts are waited for at the end.
        """
        self.host = host
        self._starts = starts
        self._patience_seconds = patience_seconds
        self._passage: _Passage | None = None

    def meet(self, control: Control, index: int, check: Check) -> None:
        """Relate the clocks, before anything is created.

        Raises:
            SetUpFault: they cannot be related, or it is too late to start.
        """
        try:
            reading = relate(control.connection, self.host, check)
            server = server_of(control.connection)
        except psycopg.Error as error:
            raise SetUpFault(
                f"host {self.host}: the database's clock cannot be read: {error}".splitlines()[0]
            ) from None
        self._passage = _Passage(index, server, reading)
        known = self._starts.known(index)
        if known is not None:
            self._check_in_time(known)

    def ready(self, control: Control, check: Check) -> None:
        """This host could start: wait until just before it is to.

        Raises:
            SetUpFault: it is too late, or nobody says when.
        """
        passage = self._here()
        control.connection.execute("select pg_advisory_lock_shared(%s, %s)", (HOSTS_LOCK, passage.index))
        about = {"host": self.host, "clock_error_ns": passage.before.error_ns}
        passage.start = self._starts.ask(passage.index, about, check)
        self._check_in_time(passage.start)
        _sleep_until(self._monotonic_ns(passage.start.ours_ns) - _LEAD_NS, check, _SLEEP_SECONDS)
        with contextlib.suppress(psycopg.Error):  # what is lost now, the window finds lost
            passage.before = read_clock(control.connection)

    def go(self, check: Check) -> None:
        """Wait for the start itself."""
        passage = self._here()
        assert passage.start is not None
        _sleep_until(self._monotonic_ns(passage.start.ours_ns), check, _LAST_SLEEP_SECONDS)

    def ended(self, control: Control, origin_ns: int, hurried: Callable[[], bool]) -> Json:
        """The window is over: relate the clocks again, wait until that of the others is; what the result says of it.

        Args:
            origin_ns: CLOCK_MONOTONIC.
            hurried: whether nobody is waited for any more.
        """
        passage = self._here()
        assert passage.start is not None
        told: Json = {
            "host": self.host,
            "server": passage.server,
            "origin_ns": origin_ns,
            "start_at_ns": passage.start.at_ns,
            "delay_ns": passage.start.delay_ns,
        }
        try:
            clock = HostClock(passage.before, read_clock(control.connection))
            waited_seconds, left = self._wait_for_others(control, passage.index, hurried)
        except psycopg.Error as error:
            return {**told, "lost": f"the database's clock cannot be read: {error}".splitlines()[0]}
        why = why_not_related(clock.before, clock.after)
        told |= clock.as_json() | {"error_ns": clock.error_ns, "waited_seconds": waited_seconds}
        told["late_ns"] = clock.server_ns(origin_ns) - passage.start.ours_ns
        if left:
            told["not_waited_for"] = left
        return {**told, "lost": why} if why else told

    def _wait_for_others(self, control: Control, index: int, hurried: Callable[[], bool]) -> tuple[float, int]:
        connection = control.connection
        connection.execute("select pg_advisory_unlock_shared(%s, %s)", (HOSTS_LOCK, index))
        began = time.monotonic()
        while True:
            row = connection.execute(_OTHERS, {"lock": HOSTS_LOCK, "index": index}).fetchone()
            left, waited = int(row[0]) if row else 0, time.monotonic() - began
            if not left or hurried() or waited > self._patience_seconds:
                return waited, left
            time.sleep(_POLL_SECONDS)

    def _here(self) -> _Passage:
        assert self._passage is not None
        return self._passage

    def _monotonic_ns(self, server_ns: int) -> int:
        return server_ns - self._here().before.offset_ns

    def _check_in_time(self, start: Start) -> None:
        late_ns = time.monotonic_ns() - self._monotonic_ns(start.ours_ns)
        if late_ns > 0:
            raise SetUpFault(
                f"host {self.host}: repetition {self._here().index} was to start {seconds(late_ns):.1f} s ago by the "
                "database's clock: give a later --start-at, or a longer --start-every"
            )


def _sleep_until(monotonic_ns: int, check: Check, pause_seconds: float) -> None:
    while (left := seconds(monotonic_ns - time.monotonic_ns())) > 0:
        check()
        time.sleep(min(left, pause_seconds))
