"""What interference needs of a server and a role, checked before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import connect
from pgflow_stress.target.base import TargetOptions

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_CHECKPOINT_ROLE_SINCE = 150000
_MAY_CHECKPOINT = """
SELECT rolsuper OR pg_has_role(rolname, 'pg_checkpoint', 'USAGE') FROM pg_roles WHERE rolname = current_user
"""
_IS_SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
_CONNECTIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0), count(*)::int
FROM pg_stat_activity WHERE backend_type = 'client backend' OR backend_type IS NULL
"""
_LIMITS = """
SELECT 'role ' || current_user, rolconnlimit FROM pg_roles WHERE rolname = current_user AND rolconnlimit >= 0
UNION ALL SELECT 'database ' || datname, datconnlimit FROM pg_database
WHERE datname = current_database() AND datconnlimit >= 0
"""


def check_interference(connection: Connection, options: TargetOptions, what: str, *, own_database: bool) -> None:
    """Whether the target can bear what is asked for; changes nothing.

    Args:
        own_database: everything in the repetition's database is ours.
    Raises:
        SetUpFault: names the right or the setting that is missing, and how to go without.
    """
    if not options.interference:
        return
    problem = "" if own_database else _schema_lacks(connection)
    if not problem and "checkpoints" in options.interference:
        problem = _checkpoint_lacks(connection)
    if not problem and options.connections:
        problem = _connections_lack(connection, options.connections, own_database=own_database)
    if problem:
        raise SetUpFault(f"{what}: {problem}")


def _schema_lacks(connection: Connection) -> str:
    role, database, may = connect.rows(
        connection, "SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE')"
    )[0]
    if may:
        return ""
    return (
        f"role {role} lacks CREATE on database {database}, which the bystander's table of --interference needs: "
        f"GRANT CREATE ON DATABASE {database} TO {role}, or use --isolation clone"
    )


def _checkpoint_lacks(connection: Connection) -> str:
    has_role = connection.info.server_version >= _CHECKPOINT_ROLE_SINCE
    if connect.value(connection, _MAY_CHECKPOINT if has_role else _IS_SUPERUSER):
        return ""
    role = connect.value(connection, "SELECT current_user")
    needs = f"GRANT pg_checkpoint TO {role}" if has_role else "use a superuser"
    return f"role {role} may not CHECKPOINT, which --interference checkpoints does: {needs}, or leave it out"


def _connections_lack(connection: Connection, needed: int, *, own_database: bool) -> str:
    most, used = connect.rows(connection, _CONNECTIONS)[0]
    if used + needed > most:
        return (
            f"--interference idle-connections and the run take {needed} connections, {used} of {most} are in use: give "
            f"fewer, or raise max_connections (embedded: --pg-setting max_connections={used + needed + 20})"
        )
    for whose, limit in connect.rows(connection, _LIMITS):
        if limit < needed and not (own_database and str(whose).startswith("database")):
            return f"--interference idle-connections and the run take {needed} connections, {whose} may have {limit}"
    return ""
