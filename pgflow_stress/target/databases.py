"""Databases of ours on any server: found, ended and dropped, with the slots and backends that hold them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pgflow_stress.target import connect
from pgflow_stress.target.naming import lease_of_database

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.01


def drop_database(maintenance: Connection, name: str) -> list[str]:
    """End every backend and slot in a database and drop it; what could not be removed is returned, not raised."""
    import psycopg  # noqa: PLC0415

    known = connect.rows(maintenance, "SELECT datistemplate FROM pg_database WHERE datname = %s", name)
    if not known:
        return []
    try:
        leftover_slots = drop_slots(maintenance, name)
        if known[0][0]:
            connect.run_script(maintenance, f'ALTER DATABASE "{name}" WITH IS_TEMPLATE false')
        maintenance.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        connect.run_script(maintenance, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    except psycopg.errors.InvalidCatalogName:
        return []  # somebody else was faster
    except psycopg.Error as error:
        return [f"database {name}: {connect.clean(connect.first_line(error))}"]
    if connect.value(maintenance, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        return [f"database {name}", *leftover_slots]
    return []


def drop_slots(maintenance: Connection, database: str) -> list[str]:
    """Drop the logical slots of a database, ending whoever reads them; names of those that stayed."""
    import psycopg  # noqa: PLC0415

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        slots = connect.rows(
            maintenance, "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", database
        )
        if not slots or time.monotonic() > deadline:
            return [f"slot {name}" for name, _ in slots]
        for name, active_pid in slots:
            try:
                if active_pid is not None:
                    maintenance.execute("SELECT pg_terminate_backend(%s)", (active_pid,))
                maintenance.execute("SELECT pg_drop_replication_slot(%s)", (name,))
            except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                time.sleep(_POLL_SECONDS)  # its reader is on the way out, or somebody else dropped it


def repetition_databases(maintenance: Connection) -> dict[str, str]:
    """Name → lease id of every repetition's database on the server."""
    names = connect.rows(maintenance, "SELECT datname FROM pg_database WHERE datname LIKE 'pgflow\\_stress\\_%%'")
    found = {str(name): lease_of_database(str(name)) for (name,) in names}
    return {name: lease for name, lease in found.items() if lease is not None}
