"""What a server says of itself now and then in a soak: what fills up, what is dead, what is behind."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from pgflow_stress.core.result import Json
from pgflow_stress.engine.server_processes import find_postmaster

COLUMNS = (
    "table_bytes",
    "index_bytes",
    "rows_live",
    "rows_dead",
    "database_bytes",
    "oldest_xmin_age",
    "xids",
    "frozen_age",
    "wal_bytes",
    "disk_free_bytes",
)
_MOST_TABLES = 2_000  # whose sizes are asked for: each is a look at its files
_PATIENCE_MS = 20_000
# In a database of ours whatever it is that grows is of this job; but for the bystander's table.
_OURS = "not starts_with(schemaname, 'pgflow_stress_')"
_OF_PGFLOW = "schemaname in ('pgflow', 'pgmq', 'realtime')"
_SIZES = """
select sum(pg_table_size(relid))::bigint, sum(pg_indexes_size(relid))::bigint, sum(n_live_tup)::bigint,
    sum(n_dead_tup)::bigint
from pg_stat_user_tables where {which}
"""
_ROWS = "select null, null, sum(n_live_tup)::bigint, sum(n_dead_tup)::bigint from pg_stat_user_tables where {which}"
_COUNT = "select count(*) from pg_stat_user_tables where {which}"
_STATE = """
select pg_database_size(current_database()),
    greatest(
        (select coalesce(max(age(backend_xmin)), 0) from pg_stat_activity where pid <> pg_backend_pid()),
        (select coalesce(max(greatest(age(xmin), age(catalog_xmin))), 0) from pg_replication_slots),
        (select coalesce(max(age(transaction)), 0) from pg_prepared_xacts)),
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
    (select age(datfrozenxid) from pg_database where datname = current_database()),
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
"""
_SETTINGS = """
select current_setting('autovacuum_freeze_max_age')::bigint, current_setting('autovacuum'),
    (select setting::float8 from pg_settings where name = 'autovacuum_naptime'),
    (select setting from pg_settings where name = 'data_directory')
"""


@dataclass
class Reader:
    """Reads on a connection of its own."""

    conninfo: str
    own_database: bool
    unseen: set[str] = field(default_factory=set)  # what could not be seen, and why
    about: Json = field(default_factory=dict)
    backend: int = 0
    _connection: psycopg.Connection[Any] | None = None
    _directory: str = ""  # of the server's data, where that is here

    def open(self) -> None:
        """Connect, and see what there is to be seen.

        Raises:
            psycopg.Error: it cannot be had.
        """
        connection = self._get()
        freeze, autovacuum, naptime, directory = connection.execute(_SETTINGS).fetchone() or (None,) * 4
        self.about = {
            "autovacuum_freeze_max_age": freeze,
            "autovacuum": autovacuum,
            "autovacuum_naptime_seconds": naptime,
        }
        self.backend = connection.info.backend_pid
        if find_postmaster(self.backend) is None:
            self.unseen.add("disk_free_bytes: the server is not on this host")
        elif directory is None:
            self.unseen.add("disk_free_bytes: where the server keeps its data needs pg_read_all_settings")
        else:
            self._directory = directory

    def read(self) -> dict[str, int | None]:
        """All of COLUMNS; None for what could not be read."""
        found: dict[str, int | None] = dict.fromkeys(COLUMNS)
        try:
            connection = self._get()
            which = sql.SQL(_OURS if self.own_database else _OF_PGFLOW)
            count = (connection.execute(sql.SQL(_COUNT).format(which=which)).fetchone() or (0,))[0]
            query = sql.SQL(_SIZES if count <= _MOST_TABLES else _ROWS).format(which=which)
            if count > _MOST_TABLES:
                self.unseen.add(f"table_bytes, index_bytes: not asked for of more than {_MOST_TABLES} tables")
            row = (
                *(connection.execute(query).fetchone() or (None,) * 4),
                *(connection.execute(_STATE).fetchone() or (None,) * 5),
            )
            found |= dict(zip(COLUMNS, row, strict=False))
        except psycopg.Error as error:
            self.unseen.add(f"a reading: {str(error).strip().splitlines()[0]}")
        found["disk_free_bytes"] = self._free()
        return found

    def close(self) -> None:
        """Close it, where it is open."""
        if self._connection is not None:
            self._connection.close()

    def _get(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = psycopg.connect(
                self.conninfo, autocommit=True, application_name="pgflow-stress: soak", connect_timeout=5
            )
            self._connection.execute(f"set statement_timeout = {_PATIENCE_MS}")
        return self._connection

    def _free(self) -> int | None:
        if not self._directory:
            return None
        try:
            told = os.statvfs(self._directory)
        except OSError as error:
            self.unseen.add(f"disk_free_bytes: {error.strerror}")
            return None
        return told.f_bavail * told.f_frsize
