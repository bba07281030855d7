"""Databases of ours on any server: found, ended and dropped, with the slots and backends that hold them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pgflow_stress.core.redact import redact
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
        return [f"database {name}: {redact(connect.first_line(error))}"]
    if connect.value(maintenance, "SELECT 1 FROM pg_database WHERE datname = %s", name):
        return [f"database {name}", *leftover_slots]
    return []


def drop_slots(maintenance: Connection, database: str) -> list[str]:
    """Drop the logical slots of a database, ending whoever reads them; names of those that stayed."""
    slots = connect.rows(maintenance, "SELECT slot_name FROM pg_replication_slots WHERE database = %s", database)
    return [left for (name,) in slots for left in drop_slot(maintenance, name)]


def drop_slot(connection: Connection, name: str) -> list[str]:
    """Drop a slot of any database, ending who reads it; its name where it stayed."""
    import psycopg  # noqa: PLC0415

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        found = connect.rows(connection, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", name)
        if not found or time.monotonic() > deadline:
            return [f"slot {name}" for _ in found]
        try:
            if found[0][0] is not None:
                connection.execute("SELECT pg_terminate_backend(%s)", (found[0][0],))
            connection.execute("SELECT pg_drop_replication_slot(%s)", (name,))
        except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
            time.sleep(_POLL_SECONDS)  # its reader is on the way out, or somebody else dropped it


def drop_databases_of(maintenance: Connection, is_dead: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Drop the repetition databases of dead owners, those included that are only just being made for one.

    A backend doesn't notice that its client was killed before its statement ends: a CREATE DATABASE that it is at would
    be finished after we had looked.

    Args:
        is_dead: whether nobody holds a lease; asked after the server, since a lease is older than its databases.
    Returns:
        names dropped, and what could not be.
    """
    _end_creators(maintenance, is_dead)
    dropped: list[str] = []
    problems: list[str] = []
    for name, lease_id in repetition_databases(maintenance).items():
        if is_dead(lease_id):
            left = drop_database(maintenance, name)
            problems += left
            dropped += [] if left else [name]
    return dropped, problems


def _end_creators(maintenance: Connection, is_dead: Callable[[str], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        busy = connect.rows(
            maintenance,
            """
            SELECT pid, substring(query FROM '^CREATE DATABASE "([^"]+)"') FROM pg_stat_activity
            WHERE state = 'active' AND starts_with(query, 'CREATE DATABASE "pgflow_stress_') AND pid <> pg_backend_pid()
            """,
        )
        leases = {pid: lease_of_database(str(name)) for pid, name in busy}
        dead = [pid for pid, lease_id in leases.items() if lease_id is not None and is_dead(lease_id)]
        if not dead:
            return
        maintenance.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (dead,))
        time.sleep(_POLL_SECONDS)


def repetition_databases(maintenance: Connection) -> dict[str, str]:
    """Name → lease id of every repetition's database on the server."""
    names = connect.rows(maintenance, "SELECT datname FROM pg_database WHERE datname LIKE 'pgflow\\_stress\\_%%'")
    found = {str(name): lease_of_database(str(name)) for (name,) in names}
    return {name: lease for name, lease in found.items() if lease is not None}
