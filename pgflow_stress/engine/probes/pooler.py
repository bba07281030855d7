"""PgBouncer's own account of its pools, by its console: clients that wait, servers that are used and idle."""

from __future__ import annotations

from typing import Any

import psycopg

from pgflow_stress.engine.probes.base import Means, Quiet, Unseen

ROLE = "pooler"
_CONNECT_SECONDS = 5
_POOL = (  # column of SHOW POOLS -> metric
    ("cl_active", "clients_active"),
    ("cl_waiting", "clients_waiting"),
    ("sv_active", "servers_active"),
    ("sv_idle", "servers_idle"),
    ("sv_used", "servers_used"),
)
_STATS = (("total_query_count", "queries_total", "queries"), ("total_wait_time", "wait_total", "us"))


class Pooler(Quiet):
    """Asks once a tick; there only with --pooler-admin-dsn."""

    def __init__(self, means: Means) -> None:
        """Connect to the console."""
        self._book = means.book
        dsn = means.order.pooler_admin_dsn
        if dsn is None:
            raise Unseen("")
        try:
            # The console knows the simple protocol alone: a client-side cursor sends it, without parameters.
            self._connection = psycopg.connect(
                dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS, cursor_factory=psycopg.ClientCursor
            )
        except psycopg.Error as error:
            raise Unseen(f"pooler: its console cannot be reached: {error}".splitlines()[0]) from None

    def tick(self) -> None:
        """Pools by database and user, then what each database's clients waited for."""
        for row in self._rows("show pools"):
            pool = f"{row['database']}/{row['user']}"
            for column, metric in _POOL:
                self._book.put(ROLE, pool, metric, float(row.get(column) or 0), "connections")
            waited_us = float(row.get("maxwait") or 0) * 1e6 + float(row.get("maxwait_us") or 0)
            self._book.put(ROLE, pool, "longest_wait", waited_us * 1e3, "ns")
        for row in self._rows("show databases"):
            self._book.put(ROLE, str(row["name"]), "pool_size", float(row.get("pool_size") or 0), "connections")
        for row in self._rows("show stats"):
            for column, metric, unit in _STATS:
                scale = 1e3 if unit == "us" else 1
                named = "ns" if unit == "us" else unit
                self._book.put(ROLE, str(row["database"]), metric, float(row.get(column) or 0) * scale, named)

    def end(self) -> None:
        """Leave the console."""
        self.close()

    def close(self) -> None:
        """Leave the console, whatever its state."""
        self._connection.close()

    def _rows(self, command: str) -> list[dict[str, Any]]:
        cursor = self._connection.execute(command.encode())
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
