"""The rights that a run needs, checked before anything is created: lacking one on realtime loses events silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import connect

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_SCHEMAS = (("pgflow", "USAGE"), ("pgmq", "USAGE"), ("pgmq", "CREATE"), ("realtime", "USAGE"))
_ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
# A queue's own tables belong to the role that creates the flow: nothing to check there.
_TABLES = (
    *((f"pgflow.{name}", _ALL) for name in ("flows", "steps", "deps", "runs", "step_states", "step_tasks", "workers")),
    ("pgmq.meta", ("SELECT", "INSERT", "DELETE")),
    ("realtime.messages", ("SELECT", "INSERT", "DELETE")),
)


def missing_for_prefix(connection: Connection) -> list[str]:
    """Rights that creating, driving and cleaning up flows needs and the role lacks; of schemas that exist."""
    schemas, tables = zip(*_SCHEMAS, strict=True), [(name, right) for name, rights in _TABLES for right in rights]
    names, rights = schemas
    lacking = connect.rows(
        connection,
        """
        SELECT w.right_, n.nspname FROM unnest(%s::text[], %s::text[]) AS w(name, right_)
        JOIN pg_namespace n ON n.nspname = w.name WHERE NOT has_schema_privilege(n.oid, w.right_)
        """,
        list(names),
        list(rights),
    )
    found = [f"{right} on schema {name}" for right, name in lacking]
    lacking = connect.rows(
        connection,
        """
        SELECT w.right_, w.name FROM unnest(%s::text[], %s::text[]) AS w(name, right_)
        JOIN pg_namespace n ON n.nspname = split_part(w.name, '.', 1)
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = split_part(w.name, '.', 2)
        WHERE NOT has_table_privilege(c.oid, w.right_)
        """,
        [name for name, _ in tables],
        [right for _, right in tables],
    )
    by_table: dict[str, list[str]] = {}
    for right, name in lacking:
        by_table.setdefault(name, []).append(right)
    return found + [f"{', '.join(rights)} on table {name}" for name, rights in by_table.items()]


def check_prefix(connection: Connection, what: str) -> None:
    """All rights for a run in a given database.

    Raises:
        SetUpFault: names each missing one and on what.
    """
    missing = missing_for_prefix(connection)
    if missing:
        role = connect.value(connection, "SELECT current_user")
        raise SetUpFault(f"{what}: role {role} lacks {'; '.join(missing)}: grant it, or use a role that has it")


def check_create_database(connection: Connection, what: str) -> None:
    """The right to make databases.

    Raises:
        SetUpFault: it is missing.
    """
    role, may = connect.rows(
        connection, "SELECT rolname, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    )[0]
    if not may:
        raise SetUpFault(
            f"{what}: role {role} lacks CREATEDB, which --isolation clone and fresh need: ALTER ROLE {role} CREATEDB, "
            "or use --isolation prefix in a database that has pgflow"
        )


def check_install(connection: Connection, what: str) -> None:
    """The right to make schemas in the database.

    Raises:
        SetUpFault: it is missing.
    """
    role, database, may = connect.rows(
        connection, "SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE')"
    )[0]
    if not may:
        raise SetUpFault(f"{what}: role {role} lacks CREATE on database {database}: it can't install pgflow there")
