"""Relates this host's clock to the database server's: the shortest of many round trips decides (Cristian 1989)."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.host_clock import ClockReading, why_not_related
from pgflow_stress.core.units import NS_PER_US

ROUND_TRIPS = 64
_FEWEST_ROUND_TRIPS = 4
_LONG_ENOUGH_SECONDS = 1.0  # for more than the fewest
_APART_SECONDS = 0.25
_QUERY = b"select (extract(epoch from clock_timestamp()) * 1000000)::int8"
_SERVER = """
select (extract(epoch from pg_postmaster_start_time()) * 1000000)::int8::text || '/' || oid::text
from pg_database where datname = current_database()
"""


def read_clock(connection: psycopg.Connection) -> ClockReading:
    """Read the server's clock between two readings of ours, many times over.

    Raises:
        psycopg.Error: the connection was lost.
    """
    best: ClockReading | None = None
    began = time.monotonic()
    for trip in range(ROUND_TRIPS):
        if trip >= _FEWEST_ROUND_TRIPS and time.monotonic() - began > _LONG_ENOUGH_SECONDS:
            break
        before_ns = time.monotonic_ns()
        row = connection.execute(_QUERY).fetchone()
        after_ns = time.monotonic_ns()
        assert row is not None
        half_ns = (after_ns - before_ns) // 2
        if best is not None and half_ns + NS_PER_US >= best.error_ns:
            continue
        at_ns = before_ns + half_ns
        best = ClockReading(at_ns, int(row[0]) * NS_PER_US - at_ns, half_ns + NS_PER_US, _wall_ns())
    assert best is not None
    return best


def relate(connection: psycopg.Connection, host: str, check: Callable[[], None]) -> ClockReading:
    """Read it twice, and refuse what does not agree.

    Args:
        check: is called while nothing is read, and raises what is to end this.

    Raises:
        SetUpFault: the clocks cannot be related.
        psycopg.Error: the connection was lost.
    """
    first = read_clock(connection)
    deadline = time.monotonic() + _APART_SECONDS
    while time.monotonic() < deadline:
        check()
        time.sleep(0.01)
    second = read_clock(connection)
    why = why_not_related(first, second)
    if why is not None:
        raise SetUpFault(
            f"host {host}: {why}: run it nearer to the database, or see to what sets the clocks (chronyc tracking)"
        )
    return second


def server_of(connection: psycopg.Connection) -> str:
    """What tells a server's life and its database from all others: only within it times can be compared."""
    row = connection.execute(_SERVER).fetchone()
    assert row is not None
    return str(row[0])


def _wall_ns() -> int:
    """Our wall clock less CLOCK_MONOTONIC: the narrowest of a few readings."""
    found = []
    for _ in range(5):
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        found.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
    return min(found)[1]
