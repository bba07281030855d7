"""How a server's wall clock stands to ours, from round trips: the offset, and by how much it may be wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg

from pgflow_stress.core.units import NS_PER_SECOND

_ROUND_TRIPS = 16
_QUERY = b"select (extract(epoch from clock_timestamp()) * 1000000)::int8"


@dataclass(frozen=True, slots=True)
class ClockRelation:
    """The server's wall clock less ours, ns; `error_ns` is half of the shortest round trip, and its microsecond."""

    offset_ns: int
    error_ns: int


def relate(connection: psycopg.Connection) -> ClockRelation:
    """Read the server's clock between two readings of ours; the shortest of some round trips decides (Cristian 1989).

    Raises:
        psycopg.Error: the connection was lost.
    """
    best: ClockRelation | None = None
    for _ in range(_ROUND_TRIPS):
        before_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        row = connection.execute(_QUERY).fetchone()
        after_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        assert row is not None
        half_ns = (after_ns - before_ns) // 2
        server_ns = int(row[0]) * (NS_PER_SECOND // 1_000_000)
        found = ClockRelation(server_ns - before_ns - half_ns, half_ns + 1000)
        if best is None or found.error_ns < best.error_ns:
            best = found
    assert best is not None
    return best
