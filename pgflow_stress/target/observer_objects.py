"""What a repetition makes in a database beside flows: an observer's slot, publication, trigger and its function, a
bystander's schema; found and removed by one name.

Whose: the repetition's nonce is in the name. Alive or dead: in a given database by the repetition's advisory lock; in a
repetition's own database they end with the database.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from pgflow_stress.core.redact import redact
from pgflow_stress.target import connect
from pgflow_stress.target.databases import drop_slot
from pgflow_stress.target.naming import OBJECT_PREFIX, lease_of_database

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

PATIENCE = "30s"  # for a lock on realtime.messages, and for a slot's making
_END_SECONDS = 5.0
_POLL_SECONDS = 0.01
_NAME = re.compile(rf"{OBJECT_PREFIX}_([0-9a-f]{{16}})\Z")
_ANY = f"^{OBJECT_PREFIX}_[0-9a-f]{{16}}$"

# In the order in which they can be dropped: a slot's reader uses the publication, the trigger its function.
_KINDS = ("slot", "publication", "trigger", "function", "schema")
_DROP = {
    "publication": 'DROP PUBLICATION IF EXISTS "{name}"',
    "trigger": 'DROP TRIGGER IF EXISTS "{name}" ON realtime.messages',
    "function": 'DROP FUNCTION IF EXISTS pgflow_stress."{name}"()',
    "schema": 'DROP SCHEMA IF EXISTS "{name}" CASCADE',
}

_FIND: LiteralString = """
    SELECT 'slot', slot_name::text, database::text FROM pg_replication_slots
    WHERE slot_type = 'logical' AND slot_name ~ %(name)s
    UNION ALL SELECT 'publication', pubname::text, current_database()::text FROM pg_publication WHERE pubname ~ %(name)s
    UNION ALL SELECT 'trigger', t.tgname::text, current_database()::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'realtime' AND c.relname = 'messages' AND t.tgname ~ %(name)s
    UNION ALL SELECT 'function', p.proname::text, current_database()::text
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'pgflow_stress' AND p.proname ~ %(name)s
    UNION ALL SELECT 'schema', nspname::text, current_database()::text FROM pg_namespace WHERE nspname ~ %(name)s
"""


@dataclass(frozen=True, slots=True)
class ObserverObject:
    """One of them: a slot of any database of the server, or something in the connected one."""

    kind: str  # slot, publication, trigger, function or schema
    name: str
    database: str


def object_name(nonce: int) -> str:
    """The one name of all that a repetition's observer makes."""
    return f"{OBJECT_PREFIX}_{nonce:016x}"


def named(connection: Connection, nonce: int) -> list[ObserverObject]:
    """What is there of a repetition's, in the order in which it can be dropped."""
    return _find(connection, f"^{object_name(nonce)}$")


def make(connection: Connection, name: str, statement: str) -> None:
    """Run a statement that makes one of them; in vain after PATIENCE.

    The name comes first in it, by which _end_makers() knows whose it is.

    Raises:
        psycopg.errors.QueryCanceled: it took longer than PATIENCE.
    """
    _run(connection, f"/* {name} */ {statement}")


def drop_named(connection: Connection, nonce: int) -> list[str]:
    """Drop what is there of a repetition's, ending who reads its slot; what could not be is returned, not raised."""
    import psycopg  # noqa: PLC0415

    try:
        return [problem for found in named(connection, nonce) for problem in _drop(connection, found)]
    except psycopg.Error as error:
        return [f"{object_name(nonce)}: {redact(connect.first_line(error))}"]


def drop_dead(connection: Connection, is_dead: Callable[[int], bool]) -> tuple[list[str], list[str]]:
    """Drop what dead repetitions left in the connected database, and their slots wherever on the server.

    Args:
        is_dead: whether nobody holds a nonce's lock; asked after the server, since a lock is older than its objects.
    Returns:
        what was dropped, and what could not be.
    """
    _end_makers(connection, is_dead)
    removed: list[str] = []
    problems: list[str] = []
    for found in dead(connection, is_dead):
        left = _drop(connection, found)
        problems += left
        removed += [] if left else [f"{found.kind} {found.name}"]
    return removed, problems


def dead(connection: Connection, is_dead: Callable[[int], bool]) -> list[ObserverObject]:
    """What drop_dead() would drop; nothing of repetitions' own databases, whose owners have other locks."""
    return [
        found
        for found in _find(connection, _ANY)
        if lease_of_database(found.database) is None and is_dead(_nonce_of(found.name))
    ]


def _find(connection: Connection, pattern: str) -> list[ObserverObject]:
    found = [ObserverObject(*row) for row in connect.rows(connection, _FIND, name=pattern)]
    return sorted(found, key=lambda one: _KINDS.index(one.kind))


def _nonce_of(name: str) -> int:
    found = _NAME.match(name)
    if found is None:
        raise ValueError(f"no name of an observer's object: {name!r}")
    return int(found.group(1), 16)


def _drop(connection: Connection, found: ObserverObject) -> list[str]:
    import psycopg  # noqa: PLC0415

    try:
        if found.kind == "slot":
            return drop_slot(connection, found.name)
        _run(connection, _DROP[found.kind].format(name=found.name))
    except psycopg.Error as error:
        return [f"{found.kind} {found.name}: {redact(connect.first_line(error))}"]
    return []


def _run(connection: Connection, statement: str) -> None:
    with connection.transaction():
        # Not lock_timeout: a slot waits for one transaction after the other, and never as long for each.
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', '0', true)", (PATIENCE,)
        )
        connect.run_script(connection, statement)


def _end_makers(connection: Connection, is_dead: Callable[[int], bool]) -> None:
    """End the statements of dead repetitions that are still at making something, which would appear after we looked.

    A backend doesn't notice that its client was killed before its statement ends, and a slot waits for transactions.
    """
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        busy = connect.rows(
            connection,
            """
            SELECT pid, current_database(), substring(query FROM '^/\\* (pgflow_stress_[0-9a-f]{16}) \\*/')
            FROM pg_stat_activity
            WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()
              AND starts_with(query, '/* pgflow_stress_') AND pg_has_role(usesysid, 'USAGE')
            """,
        )
        pids = [
            pid
            for pid, database, name in busy
            if name is not None and lease_of_database(database) is None and is_dead(_nonce_of(name))
        ]
        if not pids:
            return
        connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (pids,))
        time.sleep(_POLL_SECONDS)
