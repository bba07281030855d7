"""What an observer of realtime.messages stands on: checked before anything is made, made, and removed again.

wal: a publication and a logical slot of pgoutput. notify: realtime.send's own notifications, or else a trigger's.
realtime: nothing of ours; Supabase Realtime reads the table by itself, and a row on a topic of ours marks the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.target import connect, observer_objects, realtime
from pgflow_stress.target.inspection import inspect
from pgflow_stress.target.install import send_facts

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_WITHOUT = "--events none works without"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What was made for an observer, and how it hears."""

    transport: str  # "wal" | "notify" | "realtime"
    slot: str | None  # wal: pgflow_stress_<nonce, 16 hex digits>
    publication: str | None  # wal: the same name
    channel: str | None  # notify: realtime.NOTIFY_CHANNEL; realtime: the topic of marks
    how: str  # what is changed in the system under test, for the result
    realtime_send: dict[str, Any]  # {mode, body_sha256}
    nonce: int  # by which unsubscribe() finds all of it


def check_transport(connection: Connection, transport: str, what: str, *, own_database: bool) -> None:
    """Whether realtime.messages can be observed so; changes nothing.

    Args:
        transport: none, notify, wal or realtime.
        what: names the target in a message.
        own_database: the repetition's database will be made by us and everything in it is ours; the connection is then
            to another one of the server.
    Raises:
        SetUpFault: names the setting or the right that is missing.
        UsageFault: no such transport.
    """
    if transport == "none":
        return
    if transport == "wal":
        problem = _server_lacks(connection) or ("" if own_database else _publishing_lacks(connection))
    elif transport == "notify":
        problem = "" if own_database else _notifying_lacks(connection)
    elif transport == "realtime":
        problem = _no_service_reads_it() if own_database else ""
    else:
        raise UsageFault(f"unknown events {transport!r}: use none, notify, wal or realtime")
    if problem:
        raise SetUpFault(f"{what}: {problem}; {_WITHOUT}")


def subscribe(connection: Connection, transport: str, nonce: int, what: str) -> Subscription:
    """Make what an observer of the connected database needs; all of it or nothing.

    Args:
        connection: in autocommit, to the repetition's database.
        transport: notify, wal or realtime.
    Raises:
        SetUpFault: it can't be made, or not in time.
    """
    name = observer_objects.object_name(nonce)
    try:
        with connect.told(what):
            send = send_facts(connection, None)
            if transport == "wal":
                _publish(connection, name, what)
                how = "publication on realtime.messages"
            elif transport == "realtime":
                how = "Supabase Realtime reads realtime.messages by itself"
            elif send["mode"] == "notify":
                how = "realtime.send notifies"
            else:
                _make_on_messages(connection, name, realtime.sql_text("notify_trigger").replace("{name}", name), what)
                how = "trigger on realtime.messages"
    except BaseException:
        observer_objects.drop_named(connection, nonce)
        raise
    if transport == "wal":
        return Subscription(transport, name, name, None, how, send, nonce)
    if transport == "realtime":
        return Subscription(transport, None, None, realtime.mark_topic(nonce), how, send, nonce)
    return Subscription(transport, None, None, realtime.NOTIFY_CHANNEL, how, send, nonce)


def unsubscribe(connection: Connection, subscription: Subscription) -> list[str]:
    """Remove what subscribe() made, ending who still reads; a second call does nothing.

    Returns:
        what could not be removed, a line each.
    """
    if subscription.transport == "realtime":
        connection.execute("DELETE FROM realtime.messages WHERE topic = %s", (subscription.channel,))
        return []
    return observer_objects.drop_named(connection, subscription.nonce)


def _publish(connection: Connection, name: str, what: str) -> None:
    """The publication first: pgoutput looks it up as it was when the slot began.

    All columns, as Supabase's realtime service reads whole rows.
    """
    import psycopg  # noqa: PLC0415

    publication = (
        f'CREATE PUBLICATION "{name}" FOR TABLE realtime.messages '
        "WITH (publish = 'insert', publish_via_partition_root = true)"
    )
    _make_on_messages(connection, name, publication, what)
    try:
        observer_objects.make(connection, name, f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    except psycopg.errors.QueryCanceled as error:
        raise SetUpFault(
            f"{what}: no replication slot within {observer_objects.PATIENCE}: its making waits for every transaction "
            "of the server that has written: end the one that runs on (pg_stat_activity, pg_prepared_xacts); "
            f"{_WITHOUT}"
        ) from error


def _make_on_messages(connection: Connection, name: str, statement: str, what: str) -> None:
    import psycopg  # noqa: PLC0415

    try:
        observer_objects.make(connection, name, statement)
    except psycopg.errors.QueryCanceled as error:
        raise SetUpFault(
            f"{what}: another session has locked realtime.messages for {observer_objects.PATIENCE}: end it (pg_locks); "
            f"{_WITHOUT}"
        ) from error


def _no_service_reads_it() -> str:
    """A database of ours is made for a repetition: no Realtime knows it."""
    return (
        "--events realtime needs the very database that Realtime reads: give it with --dsn and --isolation prefix, "
        "or use --events wal"
    )


def _server_lacks(connection: Connection) -> str:
    """What logical replication needs of a server and of the role, whatever the database; empty for nothing."""
    role, may, wal_level, slots, slots_used, senders, senders_used = connect.rows(
        connection,
        """
        SELECT rolname, rolsuper OR rolreplication, current_setting('wal_level'),
               current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
               current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication)
        FROM pg_roles WHERE rolname = current_user
        """,
    )[0]
    if wal_level != "logical":
        return f"wal_level is {wal_level}: set wal_level = logical on the server and restart it"
    if not may:
        return f"role {role} lacks REPLICATION: ALTER ROLE {role} REPLICATION, or use a role that has it"
    if slots_used >= slots:
        return (
            f"no replication slot is free, {slots_used} in use: raise max_replication_slots = {slots} and restart the "
            "server, or drop a slot that nobody needs (pg_replication_slots)"
        )
    if senders_used >= senders:
        return f"no WAL sender is free, {senders_used} in use: raise max_wal_senders = {senders} and restart the server"
    return ""


def _publishing_lacks(connection: Connection) -> str:
    """What a publication on realtime.messages needs in a database that isn't ours; empty for nothing."""
    problem = _table_lacks(connection, "a publication")
    role, database, may = connect.rows(
        connection, "SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE')"
    )[0]
    if not problem and not may:
        return (
            f"role {role} lacks CREATE on database {database}, which a publication needs: "
            f"GRANT CREATE ON DATABASE {database} TO {role}, or use --isolation clone"
        )
    return problem


def _notifying_lacks(connection: Connection) -> str:
    """Somebody else's table gets no trigger; where realtime.send notifies by itself none is needed."""
    if send_facts(connection, None)["mode"] == "notify":
        return ""
    if not inspect(connection).marked:
        return (
            "realtime.send doesn't notify, and no trigger is put on realtime.messages in a database that isn't the "
            "tool's own: use --events wal or --isolation clone"
        )
    role, may = connect.rows(
        connection, "SELECT current_user, has_schema_privilege(current_user, 'pgflow_stress', 'CREATE')"
    )[0]
    if not may:
        return (
            f"role {role} lacks CREATE on schema pgflow_stress, which a trigger's function needs: "
            f"GRANT CREATE ON SCHEMA pgflow_stress TO {role}, or use --isolation clone"
        )
    return _table_lacks(connection, "a trigger")


def _table_lacks(connection: Connection, needs: str) -> str:
    found = connect.rows(
        connection,
        """
        SELECT c.relkind IN ('r', 'p') AND c.relpersistence = 'p', pg_has_role(c.relowner, 'USAGE'),
               pg_get_userbyid(c.relowner), current_user
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'realtime' AND c.relname = 'messages'
        """,
    )
    if not found:
        return "there is no realtime.messages to observe: make it, or use --isolation clone"
    is_logged_table, may, owner, role = found[0]
    if not is_logged_table:
        return f"realtime.messages is no logged table, which {needs} needs: use --isolation clone"
    if not may:
        return (
            f"role {role} doesn't own realtime.messages, which {needs} on it needs: use its owner {owner}, or "
            "--isolation clone"
        )
    return ""
