"""Removing a repetition's rows from a given database, and what killed runs left on a server; verified, not believed.

Whose rows: flows whose slug starts with the repetition's prefix, and its runs, by their ids, of a flow that was
deployed before. Alive or dead: the repetition's advisory lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from pgflow_stress.core.ids import flow_slug_prefix, run_id, run_id_bounds
from pgflow_stress.core.redact import redact
from pgflow_stress.target import connect, deployed, observer_objects
from pgflow_stress.target.databases import drop_databases_of
from pgflow_stress.target.naming import (
    LEASE_LOCK,
    PREFIX_LOCK,
    SESSION_LEASE,
    lease_lock_key,
    lock_key,
    nonce_of_slug,
)
from pgflow_stress.target.realtime import mark_topic

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_QUEUES_AT_ONCE = 16  # each drop locks about six relations until its transaction ends
_LOCK_TIMEOUT = "30s"  # a backend of a killed run may still be at its last statement
_ATTEMPTS = 2  # which may commit rows between our statements


_SLUGS: LiteralString = """
    SELECT flow_slug FROM pgflow.flows WHERE starts_with(flow_slug, %s)
    UNION SELECT queue_name FROM pgmq.meta WHERE starts_with(queue_name, %s)
"""


def topic_pattern(nonce: int) -> str:
    """LIKE pattern of the topics of a repetition's runs: the first 19 characters of all its run ids are the same."""
    return f"pgflow:run:{str(run_id(nonce, 0))[:19]}%"


def clean_prefix(connection: Connection, nonce: int) -> list[str]:
    """Remove every trace of a repetition from the connected database, and verify.

    The flows go last: as long as one is left, the next start sees that there is something to clean.

    Returns:
        what is left, and why where that is known.
    """
    prefix = flow_slug_prefix(nonce)
    left: list[str] = []
    for _ in range(_ATTEMPTS):
        left = _try_to_clean(connection, nonce, prefix)
        if not left:
            break
    return left


def _try_to_clean(connection: Connection, nonce: int, prefix: str) -> list[str]:
    import psycopg  # noqa: PLC0415

    problems: list[str] = []
    try:
        # A bitmap scan never marks dead index entries: the foreign keys' look-ups would read all of them every time.
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('enable_bitmapscan', 'off', false)",
            (_LOCK_TIMEOUT,),
        )
        problems += deployed.delete_runs(connection, nonce)
        _delete_rows(connection, nonce, prefix)
        _drop_queues(connection, prefix)
        connection.execute("DELETE FROM pgflow.flows WHERE starts_with(flow_slug, %s)", (prefix,))
    except psycopg.Error as error:
        problems.append(redact(connect.first_line(error)))
    problems += observer_objects.drop_named(connection, nonce)
    return list(dict.fromkeys([*leftovers(connection, nonce), *problems]))


def _delete_rows(connection: Connection, nonce: int, prefix: str) -> None:
    """Everything but queues and flows, by whole slugs since those are indexed.

    A transaction a table: foreign keys look the deleted children up again, a look-up a parent, and only committed dead
    rows are skipped. In one transaction a flow of 10,000 steps took 18 s, so it takes one.
    """
    slugs = [slug for (slug,) in connect.rows(connection, _SLUGS, prefix, prefix)]
    connection.execute("DELETE FROM pgflow.step_tasks WHERE flow_slug = ANY(%s)", (slugs,))
    connection.execute("DELETE FROM pgflow.step_states WHERE flow_slug = ANY(%s)", (slugs,))
    _delete_runs(connection, nonce, slugs)
    connection.execute("DELETE FROM pgflow.deps WHERE flow_slug = ANY(%s)", (slugs,))
    connection.execute("DELETE FROM pgflow.steps WHERE flow_slug = ANY(%s)", (slugs,))
    connection.execute("DELETE FROM pgflow.workers WHERE starts_with(queue_name, %s)", (prefix,))


def _delete_runs(connection: Connection, nonce: int, slugs: list[str]) -> None:
    """Runs, and then their events: a backend that outlived its client may commit some until its run is deleted.

    In one transaction, as nothing else tells of the runs whose ids are not this nonce's: those that workers primed on.
    """
    pattern = topic_pattern(nonce)
    with connection.transaction():
        others = connect.rows(
            connection,
            """
            WITH gone AS (DELETE FROM pgflow.runs WHERE flow_slug = ANY(%s) RETURNING 'pgflow:run:' || run_id AS topic)
            SELECT topic FROM gone WHERE topic NOT LIKE %s
            """,
            slugs,
            pattern,
        )
        if connect.value(connection, "SELECT to_regclass('realtime.messages') IS NOT NULL"):
            topics = [mark_topic(nonce), *(topic for (topic,) in others)]
            connection.execute(
                "DELETE FROM realtime.messages WHERE topic LIKE %s OR topic = ANY(%s)", (pattern, topics)
            )


def _drop_queues(connection: Connection, prefix: str) -> None:
    while names := connect.rows(
        connection,
        "SELECT queue_name FROM pgmq.meta WHERE starts_with(queue_name, %s) LIMIT %s",
        prefix,
        _QUEUES_AT_ONCE,
    ):
        queues = [name for (name,) in names]
        with connection.transaction():
            connection.execute("SELECT pgmq.drop_queue(name) FROM unnest(%s::text[]) AS name", (queues,))
            # drop_queue leaves the row of a queue whose table is absent.
            connection.execute("DELETE FROM pgmq.meta WHERE queue_name = ANY(%s)", (queues,))


def leftovers(connection: Connection, nonce: int) -> list[str]:
    """What of a repetition is in the connected database, a line a kind; empty for nothing."""
    prefix = flow_slug_prefix(nonce)
    first, last = run_id_bounds(nonce)
    counts = connect.rows(
        connection,
        """
        SELECT 'pgflow.step_tasks', count(*) FROM pgflow.step_tasks
            WHERE starts_with(flow_slug, %(prefix)s) OR run_id BETWEEN %(first)s AND %(last)s
        UNION ALL SELECT 'pgflow.step_states', count(*) FROM pgflow.step_states
            WHERE starts_with(flow_slug, %(prefix)s) OR run_id BETWEEN %(first)s AND %(last)s
        UNION ALL SELECT 'pgflow.runs', count(*) FROM pgflow.runs
            WHERE starts_with(flow_slug, %(prefix)s) OR run_id BETWEEN %(first)s AND %(last)s
        UNION ALL SELECT 'pgflow.deps', count(*) FROM pgflow.deps WHERE starts_with(flow_slug, %(prefix)s)
        UNION ALL SELECT 'pgflow.steps', count(*) FROM pgflow.steps WHERE starts_with(flow_slug, %(prefix)s)
        UNION ALL SELECT 'pgflow.flows', count(*) FROM pgflow.flows WHERE starts_with(flow_slug, %(prefix)s)
        UNION ALL SELECT 'pgflow.workers', count(*) FROM pgflow.workers WHERE starts_with(queue_name, %(prefix)s)
        UNION ALL SELECT 'pgmq.meta', count(*) FROM pgmq.meta WHERE starts_with(queue_name, %(prefix)s)
        UNION ALL SELECT 'queue tables', count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'pgmq' AND c.relkind = 'r'
              AND (starts_with(c.relname, 'q_' || %(prefix)s) OR starts_with(c.relname, 'a_' || %(prefix)s))
        """,
        prefix=prefix,
        first=first,
        last=last,
    )
    if connect.value(connection, "SELECT to_regclass('realtime.messages') IS NOT NULL"):
        counts += connect.rows(
            connection,
            "SELECT 'realtime.messages', count(*) FROM realtime.messages WHERE topic LIKE %s OR topic = %s",
            topic_pattern(nonce),
            mark_topic(nonce),
        )
    observers = [f"{found.kind} {found.name}" for found in observer_objects.named(connection, nonce)]
    return [f"{count} in {name}" for name, count in counts if count] + observers


def dead_nonces(connection: Connection) -> list[int]:
    """Repetitions that left flows, queues or workers in the connected database and whose owner holds no lock."""
    slugs = connect.rows(
        connection,
        """
        SELECT flow_slug FROM pgflow.flows WHERE flow_slug ~ '^ps[0-9a-f]{16}_'
        UNION SELECT queue_name FROM pgmq.meta WHERE queue_name ~ '^ps[0-9a-f]{16}_'
        UNION SELECT queue_name FROM pgflow.workers WHERE queue_name ~ '^ps[0-9a-f]{16}_'
        """,
    )
    nonces = {nonce for (slug,) in slugs if (nonce := nonce_of_slug(str(slug))) is not None}
    living = held_locks(connection, PREFIX_LOCK)  # after the slugs: a lock is older than its slugs
    return sorted(nonce for nonce in nonces if lock_key(nonce) not in living)


def drop_dead_objects(connection: Connection) -> tuple[list[str], list[str]]:
    """Drop what observers of repetitions made whose lock nobody holds, flows or not: what, and what could not be."""
    return observer_objects.drop_dead(connection, lambda nonce: _is_dead(connection, nonce))


def dead_objects(connection: Connection) -> list[str]:
    """The same, looked at alone: a line each."""
    found = observer_objects.dead(connection, lambda nonce: _is_dead(connection, nonce))
    return [f"{one.kind} {one.name}" for one in found]


def _is_dead(connection: Connection, nonce: int) -> bool:
    return lock_key(nonce) not in held_locks(connection, PREFIX_LOCK)


def drop_dead_databases(connection: Connection) -> tuple[list[str], list[str]]:
    """Drop repetition databases of session leases that nobody holds: names dropped, and what could not be."""
    return drop_databases_of(
        connection,
        lambda lease_id: (
            lease_id.startswith(SESSION_LEASE) and lease_lock_key(lease_id) not in held_locks(connection, LEASE_LOCK)
        ),
    )


def held_locks(connection: Connection, kind: int) -> set[int]:
    """Second keys of the advisory locks of a kind that some session on the server holds, whatever its database."""
    found = connect.rows(
        connection,
        "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = %s AND granted",
        kind,
    )
    return {lock_key(int(key)) for (key,) in found}
