"""The server's state once a tick: queues and slots that fill, the oldest snapshot, checkpoints, upkeep in progress.

Nothing counts rows of a table. Each query gives lines (subject, metric, value, unit).
"""

from __future__ import annotations

import psycopg

from pgflow_stress.engine.probes.base import Means, Quiet

ROLE = "postgres"
_CHECKPOINTER_VERSION = 170000

_STATE = """
select 'notifications', 'queue_usage', pg_notification_queue_usage()::float8, 'share'
union all
select 'wal', 'written_total', pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, 'bytes'
union all
select 'slot ' || slot_name, 'lag',
       pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(confirmed_flush_lsn, restart_lsn))::float8, 'bytes'
from pg_replication_slots where coalesce(confirmed_flush_lsn, restart_lsn) is not null
union all
select 'snapshots', 'oldest_xmin_age', coalesce(max(age(backend_xmin)), 0)::float8, 'transactions' from pg_stat_activity
union all
select p.relid::regclass::text, 'vacuum_running', 1, 'mark' from pg_stat_progress_vacuum p
where p.datname = current_database()
union all
select p.relid::regclass::text, 'analyze_running', 1, 'mark' from pg_stat_progress_analyze p
where p.datname = current_database()
union all
"""
_CHECKPOINTS = (
    "select 'server', 'checkpoints_total', (num_timed + num_requested)::float8, 'checkpoints' from pg_stat_checkpointer"
)
_CHECKPOINTS_BEFORE_17 = (
    "select 'server', 'checkpoints_total', (checkpoints_timed + checkpoints_req)::float8, 'checkpoints' "
    "from pg_stat_bgwriter"
)
_SUBTRANSACTIONS_SINCE = 160000
_SUBTRANSACTIONS = """
select 'subtransactions', 'cached', coalesce(max(s.subxact_count), 0)::float8, 'transactions' from backends s
union all
select 'subtransactions', 'overflowed', count(*) filter (where s.subxact_overflowed)::float8, 'backends' from backends s
"""
_WITH_BACKENDS = """
with backends as (
    select s.* from pg_stat_get_backend_idset() as b(id), lateral pg_stat_get_backend_subxact(b.id) as s
)
"""


class ServerState(Quiet):
    """One statement a tick."""

    def __init__(self, means: Means) -> None:
        """The statement that fits the server's version."""
        self._means = means
        version = means.connection.info.server_version
        self._query = _STATE + (_CHECKPOINTS if version >= _CHECKPOINTER_VERSION else _CHECKPOINTS_BEFORE_17)
        if means.full and version >= _SUBTRANSACTIONS_SINCE:
            self._query = f"{_WITH_BACKENDS} {self._query} union all {_SUBTRANSACTIONS}"

    def tick(self) -> None:
        """Put down what it says."""
        put_rows(self._means, self._query)


def put_rows(means: Means, query: str) -> None:
    """Points of the server, as a query tells them: (subject, metric, value, unit).

    Raises:
        psycopg.Error: it cannot be asked.
    """
    for subject, metric, value, unit in means.connection.execute(psycopg.sql.SQL(query)).fetchall():
        if value is not None:
            means.book.put(ROLE, subject, metric, value, unit)
