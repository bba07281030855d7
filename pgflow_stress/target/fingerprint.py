"""What was measured on, as the server tells it: version, settings that were changed and those that spoil numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgflow_stress.target import connect

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

# Always told, changed or not: each can make two results incomparable by itself.
SPOILERS = (
    "autovacuum",
    "checkpoint_timeout",
    "fsync",
    "full_page_writes",
    "huge_pages",
    "io_method",
    "jit",
    "max_wal_size",
    "shared_buffers",
    "synchronous_commit",
    "synchronous_standby_names",
    "track_functions",
    "wal_compression",
    "wal_level",
)

# Paths, commands and connection strings: of no use to a comparison, and they may name a home or hold a password.
_PRIVATE = re.compile(r"(_files?|_directory|_directories|_path|_command|_conninfo|_passphrase|_addresses|_names?)\Z")
_KEPT_DESPITE = frozenset({"synchronous_standby_names"})
# Of the session or the client, not of the server.
_SESSION_SOURCES = ("default", "override", "client", "session")


def settings_of(connection: Connection) -> dict[str, str]:
    """Changed settings and the spoilers, each as SHOW tells it, with its unit.

    A value that a role or a database overrides is told as `role NAME: setting` and `database: setting`.
    """
    changed = connect.rows(
        connection,
        """
        SELECT name, current_setting(name, true) FROM pg_settings
        WHERE source <> ALL(%s) OR name = ANY(%s) ORDER BY name
        """,
        list(_SESSION_SOURCES),
        list(SPOILERS),
    )
    settings = {name: value for name, value in changed if value is not None and not is_private(name)}
    return settings | overrides_of(connection)


def overrides_of(connection: Connection) -> dict[str, str]:
    """ALTER ROLE … SET and ALTER DATABASE … SET that reach this session."""
    found = connect.rows(
        connection,
        """
        SELECT setrole <> 0, setdatabase <> 0, unnest(setconfig) FROM pg_db_role_setting
        WHERE setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
          AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        ORDER BY 1, 2, 3
        """,
    )
    settings: dict[str, str] = {}
    for by_role, by_database, assignment in found:
        name, _, value = str(assignment).partition("=")
        if not is_private(name):
            scope = "role and database" if by_role and by_database else "role" if by_role else "database"
            settings[f"{scope}: {name}"] = value
    return settings


def is_private(name: str) -> bool:
    """Whether a setting's value stays out of a result."""
    return name not in _KEPT_DESPITE and _PRIVATE.search(name) is not None


def server_of(connection: Connection) -> dict[str, Any]:
    """The server's version and how it is reached."""
    version, version_num, encoding, collation, checksums, in_recovery = connect.rows(
        connection,
        """
        SELECT current_setting('server_version'), current_setting('server_version_num')::int,
               pg_encoding_to_char(encoding), datcollate, current_setting('data_checksums'), pg_is_in_recovery()
        FROM pg_database WHERE datname = current_database()
        """,
    )[0]
    return {
        "version": version,
        "version_num": version_num,
        "encoding": encoding,
        "collation": collation,
        "data_checksums": checksums,
        "in_recovery": in_recovery,
        "transport": transport_of(connection),
        "server_is_local": transport_of(connection) == "socket" or is_loopback(connection.info.hostaddr),
        "tls": bool(connection.pgconn.ssl_in_use),
    }


def transport_of(connection: Connection) -> str:
    """`socket` or `tcp`."""
    return "socket" if connection.info.host.startswith(("/", "@")) and not connection.info.hostaddr else "tcp"


def is_loopback(address: str) -> bool:
    """Whether an address is this host's own, as far as it tells by itself."""
    return address.startswith("127.") or address in {"::1", "localhost", ""}
