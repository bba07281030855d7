"""What the server did in a window, counted: the server's own counters, read before and after it.

Backends hand their counters to the shared statistics at most once a second and when they end, so that a bare reading
misses up to a second's work at either end. Each worker therefore asks for its own to be handed over
(pg_stat_force_next_flush, PostgreSQL 15) after it has primed and after its last completion, and so does the reader
before it reads; the hand-over is done before the server answers. What is left of an error, over the whole window: the
reader's own statements, a few hundred buffers; on the WAL and on XIDs, which are the whole server's, whatever else
writes to it. The background writer does, a record of about 100 bytes every 15 s; an observer does, a mark at the end.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import psycopg

from pgflow_stress.core.result import Json

_SINCE = 150000  # pg_stat_force_next_flush

_COUNTERS = """
select w.wal_records, w.wal_fpi, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       d.tup_inserted + d.tup_updated + d.tup_deleted, d.blks_hit + d.blks_read,
       d.tup_updated + d.tup_deleted, d.xact_commit
from pg_stat_wal w, pg_stat_database d where d.datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Work:
    """Counted so far: WAL and XIDs by the whole server, rows and buffers in this database."""

    wal_records: int
    wal_fpi: int  # full-page images
    xids: int  # transactions that wrote, subtransactions that wrote
    rows: int  # inserted, updated, deleted
    buffers: int  # pages asked for, found in memory or not
    dead_rows: int  # versions of rows that an update or delete left behind
    commits: int  # transactions, those that wrote nothing too


def hand_over(connection: psycopg.Connection[Any]) -> None:
    """Have the backend's own counters in the shared statistics; best effort, outside any window."""
    if connection.info.server_version >= _SINCE:
        with contextlib.suppress(psycopg.Error):
            connection.execute("select pg_stat_force_next_flush()")


def read_work(connection: psycopg.Connection[Any]) -> Work | None:
    """The counters now; None from a server whose backends cannot be made to hand theirs over.

    Raises:
        psycopg.Error: the server does not answer.
    """
    if connection.info.server_version < _SINCE:
        return None
    hand_over(connection)
    found = connection.execute(_COUNTERS).fetchone()
    return Work(*found) if found else None


def work_per_task(before: Work | None, after: Work | None, tasks: int) -> Json:
    """What was done in between by task, as `server` in the result has it; empty where it is not known."""
    if before is None or after is None or not tasks:
        return {}
    return {
        "wal_records_per_task": (after.wal_records - before.wal_records) / tasks,
        "wal_fpi_per_task": (after.wal_fpi - before.wal_fpi) / tasks,
        "xids_per_task": (after.xids - before.xids) / tasks,
        "rows_per_task": (after.rows - before.rows) / tasks,
        "buffers_per_task": (after.buffers - before.buffers) / tasks,
        "dead_rows_per_task": (after.dead_rows - before.dead_rows) / tasks,
        "commits_per_task": (after.commits - before.commits) / tasks,
    }
