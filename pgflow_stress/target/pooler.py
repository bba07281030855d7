"""A pooler between us and the server: found by what it does, and what can't work through it refused.

It gives the client a backend's number of its own making. Its mode is told by two clients: where each has a backend to
itself it lends them for a session, where they meet on one, or change theirs, for a transaction. A statement that was
prepared by name and is not found under it on the backend was taken over by the pooler, which prepares it wherever it is
executed (PgBouncer since 1.21, with max_prepared_statements).
"""

from __future__ import annotations

import contextlib
import secrets
import select
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.redact import redact
from pgflow_stress.target import connect
from pgflow_stress.target.base import Isolation, Pooler, PoolMode, TargetOptions
from pgflow_stress.target.fingerprint import transport_of
from pgflow_stress.target.naming import PROBE_LOCK

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_PATIENCE_SECONDS = 3.0  # a client that gets no backend within it waits for another to leave
_CONSOLE = "pgbouncer"  # its database
_TURNS = (0, 0, 1, 0, 1, 1, 0, 1)  # who asks: twice in a row too, for a pool that deals its backends round
_BACKEND = "SELECT pg_backend_pid()"
_NO_DATABASE = "no such database"  # PgBouncer's own words: the server says "does not exist"
_OWN_DATABASES = (Isolation.CLONE, Isolation.FRESH)
_SESSIONS_BESIDE = 8  # of the coordinator, the sampler, the observer, those that look at plans and at what is left


def find_pooler(connection: Connection, conninfo: str, what: str, admin_dsn: str | None) -> Pooler | None:
    """What stands between this connection and the server; None where nothing does. Changes nothing.

    Args:
        connection: to the given database, in autocommit; lost where the pooler is in statement mode.
        conninfo: by which it was had.
        admin_dsn: of PgBouncer's console; without it the console at the same address is asked, if it answers.
    Raises:
        SetUpFault: another connection could not be had.
    """
    if connect.value(connection, _BACKEND) == connection.info.backend_pid:
        return None
    transport = transport_of(connection)
    told = _told(admin_dsn or connect.compose_with(conninfo, dbname=_CONSOLE), connection.info.dbname)
    mode = _mode(connection, conninfo, what)
    prepares = mode is PoolMode.SESSION or (mode is PoolMode.TRANSACTION and _prepares(connection))
    return Pooler(mode, prepares, transport=transport, **told)


def refuse_what_cannot(pooler: Pooler, options: TargetOptions, conninfo: str, what: str) -> None:
    """Refuse what can't be done through this pooler, before anything is created.

    Raises:
        SetUpFault: says why, and what to do.
    """
    through = f"{what}: {_named(pooler)} in {pooler.mode} mode is in between"
    if pooler.mode is PoolMode.STATEMENT:
        raise SetUpFault(
            f"{through}, which takes no transaction of several statements: use a pool in transaction or session mode, "
            "or the server's own address"
        )
    if options.names_backends:
        raise SetUpFault(
            f"{through}: {options.names_backends[0]} is about the workers' own backends, and the pooler's are shared: "
            "leave it out, or give the server's own address as --dsn"
        )
    if not pooler.direct:
        _refuse_without_direct(pooler, options, conninfo, through)
    elif options.isolation in _OWN_DATABASES:
        _check_any_database(conninfo, through, str(options.isolation))
    if pooler.mode is PoolMode.SESSION and options.sessions:
        beside = 0 if pooler.direct else _SESSIONS_BESIDE
        _check_sessions(conninfo, options.sessions + beside, through, pooler)


def check_same_database(pooled: Connection, direct: Connection, what: str) -> None:
    """That both lead one role to one database: a lock that is taken through one is seen through the other.

    Raises:
        SetUpFault: they don't.
    """
    key = secrets.randbits(31)
    with pooled.transaction():
        pooled.execute("SELECT pg_advisory_xact_lock(%s, %s)", (PROBE_LOCK, key))
        seen = connect.value(
            direct,
            """
            SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = %s AND l.objid = %s
              AND d.datname = current_database()
            """,
            PROBE_LOCK,
            key,
        )
    if not seen:
        raise SetUpFault(f"{what}: --direct-dsn leads to another database than --dsn: give the same one's own address")
    roles = [str(connect.value(one, "SELECT current_user")) for one in (pooled, direct)]
    if roles[0] != roles[1]:
        raise SetUpFault(
            f"{what}: the role is {roles[0]} by --dsn and {roles[1]} by --direct-dsn: give the same role, which will "
            "own what is made"
        )


def backend_of(connection: Any) -> int:
    """The backend that serves a connection now: its own number, not one of a pooler's making."""
    return int(connection.execute(_BACKEND).fetchone()[0])


def _named(pooler: Pooler) -> str:
    return "a pooler" if pooler.product == "unnamed" else pooler.product


def _refuse_without_direct(pooler: Pooler, options: TargetOptions, conninfo: str, through: str) -> None:
    give_direct = f"give the server's own address as {'--direct-dsn' if options.sessions else '--dsn'}"
    if pooler.mode is PoolMode.TRANSACTION:
        needs = {"notify": "LISTEN", "wal": "logical replication"}.get(options.events)
        also = f", --events {options.events} needs {needs}" if needs else ""
        raise SetUpFault(
            f"{through}, where no session lasts, and set-up and clean-up hold advisory locks{also}: {give_direct}"
        )
    if options.isolation in _OWN_DATABASES:
        raise SetUpFault(
            f"{through}, which keeps connections to databases that are to be cloned or dropped: {give_direct}, or use "
            "--isolation prefix"
        )
    if options.events == "wal" and (reason := _no_replication(conninfo)):
        raise SetUpFault(
            f"{through}, and logical replication does not go through it ({reason}): {give_direct}, or use --events "
            "notify or none"
        )


def _mode(connection: Connection, conninfo: str, what: str) -> PoolMode:
    import psycopg  # noqa: PLC0415

    try:
        with connection.transaction():
            connection.execute("SELECT 1")
    except psycopg.Error:
        return PoolMode.STATEMENT
    with contextlib.closing(connect.open_connection(conninfo, what)) as other:
        clients = (connection, other)
        seen: tuple[set[Any], set[Any]] = set(), set()
        for turn in _TURNS:
            backend = _answers([clients[turn]], _PATIENCE_SECONDS)[0]
            if backend is None:  # the first client has the pool's only backend to itself
                return PoolMode.SESSION
            seen[turn].add(backend)
    shared = seen[0] & seen[1]
    return PoolMode.SESSION if len(seen[0]) == len(seen[1]) == 1 and not shared else PoolMode.TRANSACTION


def _prepares(connection: Connection) -> bool:
    """In one transaction, so on one backend; what was left there under our name is removed again."""
    name = f"pgflow_stress_{secrets.token_hex(6)}"
    with connection.transaction():
        connection.pgconn.prepare(name.encode(), b"select 1")
        found = connect.value(connection, "SELECT count(*) FROM pg_prepared_statements WHERE name = %s", name)
        if found:
            connect.run_script(connection, f"DEALLOCATE {name}")
    return not found


def _told(admin_dsn: str, database: str) -> dict[str, Any]:
    """What PgBouncer's console says; nothing where there is none, or not for us."""
    import psycopg  # noqa: PLC0415

    try:
        with psycopg.connect(
            admin_dsn, autocommit=True, connect_timeout=5, cursor_factory=psycopg.ClientCursor
        ) as console:
            version = str(_shown(console, "SHOW VERSION")[0]["version"])
            pools = {row["name"]: row for row in _shown(console, "SHOW DATABASES")}
            config = {row["key"]: row["value"] for row in _shown(console, "SHOW CONFIG")}
    except (psycopg.Error, LookupError):
        return {}
    if not version.startswith("PgBouncer"):
        return {}
    size = pools.get(database, {}).get("pool_size") or config.get("default_pool_size")
    kept = config.get("max_prepared_statements")
    return {
        "product": version,
        "pool_size": None if size is None else int(size),
        "prepared_statements": None if kept is None else int(kept),
    }


def _shown(console: Any, command: str) -> list[dict[str, Any]]:
    cursor = console.execute(command.encode())
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _no_replication(conninfo: str) -> str:
    """Why the pooler takes no replication connection; empty where it does."""
    import psycopg  # noqa: PLC0415

    try:
        with psycopg.connect(conninfo, autocommit=True, replication="database", connect_timeout=5) as connection:
            connection.pgconn.exec_(b"IDENTIFY_SYSTEM")
    except psycopg.Error as error:
        return redact(connect.first_line(error))
    return ""


def _check_any_database(conninfo: str, through: str, isolation: str) -> None:
    """Databases with names of ours must be reached through it: one that is not there must be the server's to refuse."""
    import psycopg  # noqa: PLC0415

    nowhere = connect.compose_with(conninfo, dbname=f"pgflow_stress_nowhere_{secrets.token_hex(6)}")
    try:
        psycopg.connect(nowhere, connect_timeout=5).close()
    except psycopg.Error as error:
        if _NO_DATABASE in str(error):
            raise SetUpFault(
                f"{through}, which knows the databases of its list alone, and --isolation {isolation} makes new ones: "
                "add `* = host=…` to its [databases], or use --isolation prefix"
            ) from None


def _check_sessions(conninfo: str, needed: int, through: str, pooler: Pooler) -> None:
    """That so many clients have a backend at once: in session mode whoever gets none waits for another to leave.

    Raises:
        SetUpFault: fewer do.
    """
    with _opened(conninfo, needed, through) as clients:
        served = sum(backend is not None for backend in _answers(clients, _PATIENCE_SECONDS))
    if served < needed:
        size = "" if pooler.pool_size is None else f" (pool_size {pooler.pool_size})"
        raise SetUpFault(
            f"{through} and gives {served} of {needed} sessions a backend{size}, so the others would wait for ever: "
            "raise its pool_size, give fewer --workers, or use a pool in transaction mode"
        )


@contextlib.contextmanager
def _opened(conninfo: str, count: int, what: str) -> Iterator[list[Connection]]:
    clients: list[Connection] = []
    try:
        for _ in range(count):
            clients.append(connect.open_connection(conninfo, what))
        yield clients
    finally:
        for client in clients:
            client.close()


def _answers(clients: Sequence[Connection], seconds: float) -> list[bytes | None]:
    """The backend of each, all asked at once; None of those that got none in time."""
    deadline = time.monotonic() + seconds
    found: dict[int, bytes | None] = {}
    for client in clients:
        client.pgconn.send_query(_BACKEND.encode())
    waiting = dict(enumerate(clients))
    while waiting and (left := deadline - time.monotonic()) > 0:
        select.select([client.pgconn.socket for client in waiting.values()], [], [], left)
        for index, client in list(waiting.items()):
            client.pgconn.consume_input()
            if client.pgconn.is_busy():
                continue
            result = client.pgconn.get_result()
            found[index] = None if result is None else result.get_value(0, 0)
            while client.pgconn.get_result() is not None:
                pass
            del waiting[index]
    return [found.get(index) for index in range(len(clients))]
