"""A target that was given by a connection string: how it is opened, and which isolation it gets.

Which isolation where none was asked for: `prefix` in a database that has pgflow, since that makes nothing on the server
but rows of the tool's own, which it removes. A database without pgflow is refused rather than a new one made beside
it: who names a database expects the tool to stay in it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.core.libpq import LibpqChoice, choose
from pgflow_stress.target import connect, consent, interfering, privileges
from pgflow_stress.target.base import Isolation, Pooler, PoolMode, Say, TargetOptions
from pgflow_stress.target.choice import Choice, chosen
from pgflow_stress.target.fingerprint import transport_of
from pgflow_stress.target.inspection import Found, inspect, require_pgflow
from pgflow_stress.target.pooler import check_same_database, find_pooler, refuse_what_cannot

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection
    from pgflow_stress.target.isolation import GivenTarget

_OLDEST_SERVER = 140000  # pgmq's and pgflow's SQL needs what came with it
_DEFAULTS = TargetOptions()
AGES_NOTHING = (
    "--history needs --isolation clone or fresh: a given database is as old as it is, and finished tasks of ours would "
    "stay in it"
)
ANALYZES_NOTHING = (
    "--planner-statistics needs --isolation clone or fresh: what the planner knows of a given database is its owner's"
)


@dataclass(frozen=True, slots=True)
class Reached:
    """A given database that was connected to, looked at and consented to."""

    conninfo: str  # complete: libpq's variables and service files resolved
    what: str  # for messages
    found: Found
    server_version_num: int
    libpq: LibpqChoice
    pooled_conninfo: str = ""  # through the pooler, where conninfo goes past it
    pooler: Pooler | None = None


def reach(options: TargetOptions, choice: Choice, *, judge: bool = True) -> Reached:
    """Connect, look, and check consent; changes nothing.

    Args:
        judge: refuse a pooler that what is asked for can't go through.
    Raises:
        SetUpFault: it can't be reached or must not be used.
    """
    direct = chosen(options.direct_dsn, "--direct-dsn") if options.direct_dsn else None
    wants_tls = choice.wants_tls or (direct is not None and direct.wants_tls)
    libpq = choose(embedded=False, wants_tls=wants_tls)
    with reading(options, replace(choice, wants_tls=wants_tls)) as (connection, what):
        found = inspect(connection)
        consent.check_named(choice, found.database, found.marked, options.yes_on)
        _check_server(connection, what)
        conninfo, version = complete_conninfo(connection), connection.info.server_version
        pooler = find_pooler(connection, conninfo, what, options.pooler_admin_dsn)
        past = ""
        if direct is not None and (pooler is None or pooler.mode is not PoolMode.STATEMENT):
            past = _past(options, replace(direct, wants_tls=wants_tls), connection, what)
    if pooler is not None:
        pooler = replace(pooler, direct=bool(past))
        if judge:
            refuse_what_cannot(pooler, options, conninfo, what)
    return Reached(past or conninfo, what, found, version, libpq, conninfo if past else "", pooler)


def _past(options: TargetOptions, direct: Choice, pooled: Connection, what: str) -> str:
    """The conninfo of the way past the pooler, which must lead to the same place."""
    with reading(options, direct) as (connection, _):
        _check_server(connection, what)
        if connection.info.backend_pid != connect.value(connection, "SELECT pg_backend_pid()"):
            raise SetUpFault(f"{what}: --direct-dsn goes through a pooler too: give the server's own address")
        check_same_database(pooled, connection, what)
        return complete_conninfo(connection)


@contextlib.contextmanager
def reading(options: TargetOptions, choice: Choice) -> Iterator[tuple[Connection, str]]:
    """A connection to a given database, for the length of the block, and the database in words.

    Who only reads needs no other consent than that of a remote host.

    Raises:
        SetUpFault: it can't be reached, that consent is missing, or a statement in the block failed.
    """
    consent.check_readable(choice)
    choose(embedded=False, wants_tls=choice.wants_tls)
    parameters = connect.parse(choice.conninfo, choice.origin)
    consent.check_host(parameters, os.environ, options.allow_remote)
    with connect.connected(choice.conninfo, _named(parameters, choice)) as connection:
        consent.check_reached(connection.info.host, connection.info.hostaddr, options.allow_remote)
        what = f"database {connection.info.dbname} on {_place(connection)}"
        with connect.told(what):
            yield connection, what


def complete_conninfo(connection: Connection) -> str:
    """All that a child needs to connect to the same place, wherever it came from; application_name is the child's."""
    parameters = {name: str(text) for name, text in connection.info.get_parameters().items()}
    for ours in ("application_name", "connect_timeout", "client_encoding"):
        parameters.pop(ours, None)
    password = connection.info.password
    if password:
        parameters["password"] = password
    return connect.compose(**parameters)


@contextlib.contextmanager
def open_given(options: TargetOptions, choice: Choice, say: Say) -> Iterator[GivenTarget]:
    """The given target in the isolation that fits; its locks are held for the length of the block.

    Raises:
        SetUpFault: it can't be had.
        UsageFault: an option that belongs to another kind of target.
    """
    from pgflow_stress.target.isolation import open_isolated  # noqa: PLC0415  consent comes before its imports

    if options.pg_settings:
        raise UsageFault("--pg-setting is for the embedded server: set it on the given server yourself")
    reached = reach(options, choice)
    isolation = choose_isolation(options, reached)
    with connect.connected(reached.conninfo, reached.what) as connection:
        if isolation is Isolation.PREFIX:
            privileges.check_prefix(connection, reached.what)
        else:
            privileges.check_create_database(connection, reached.what)
        own = isolation is not Isolation.PREFIX
        interfering.check_interference(connection, options, reached.what, own_database=own)
    with open_isolated(isolation, reached, options, say) as target:
        yield target


def choose_isolation(options: TargetOptions, reached: Reached) -> Isolation:
    """The isolation asked for, else `prefix`; see the top of the module.

    Raises:
        SetUpFault: `prefix` without a pgflow that can be driven.
        UsageFault: an option that `prefix` can't obey.
    """
    isolation = options.isolation or Isolation.PREFIX
    if isolation is Isolation.PREFIX:
        if options.aged:
            raise UsageFault(AGES_NOTHING)
        if options.analyzed:
            raise UsageFault(ANALYZES_NOTHING)
        require_pgflow(reached.found, reached.what)
        if options.realtime_send != _DEFAULTS.realtime_send:
            raise UsageFault("--realtime-send needs --isolation clone or fresh: a given database's own is not changed")
        if options.pgflow not in (_DEFAULTS.pgflow, reached.found.version):
            raise UsageFault("--pgflow needs --isolation clone or fresh: a given database's own pgflow is driven")
    return isolation


def _check_server(connection: Connection, what: str) -> None:
    if connection.info.server_version < _OLDEST_SERVER:
        raise SetUpFault(f"{what}: PostgreSQL {connection.info.server_version // 10000} is too old: 14 is the oldest")
    if connect.value(connection, "SELECT pg_is_in_recovery()"):
        raise SetUpFault(f"{what}: the server is a standby and can't be written to: give the primary")


def _named(parameters: dict[str, str], choice: Choice) -> str:
    """The target in words before it is connected to: no password in them."""
    host = parameters.get("host") or parameters.get("hostaddr")
    place = f"{host}:{parameters.get('port', '5432')}" if host else "the server"
    return f"{place} (from {choice.origin})"


def _place(connection: Connection) -> str:
    if transport_of(connection) == "socket":
        return "the local socket"
    return f"{connection.info.host}:{connection.info.port}"
