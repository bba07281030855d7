"""Bodies of realtime.send with one fault each, and partitions cut so that a run meets their border.

A body strikes every EVERY-th call, counted by a sequence, and keeps the event as it was called with in
realtime.planted, in the same transaction: what was rolled back isn't there, and a test knows exactly what was struck.
"""

from __future__ import annotations

from typing import Any

import psycopg

EVERY = 5

_STORE = """
    INSERT INTO realtime.messages (payload, event, topic, private, extension)
    VALUES (payload, {event}, {topic}, private, 'broadcast');
"""
_AS_CALLED = _STORE.format(event="event", topic="topic")
_BODIES = {
    "drops 1 in N": f"IF NOT struck THEN {_AS_CALLED} END IF;",
    "twice": f"{_AS_CALLED} IF struck THEN {_AS_CALLED} END IF;",
    "wrong topic": _STORE.format(
        event="event", topic="CASE WHEN struck THEN 'pgflow:run:' || gen_random_uuid() ELSE topic END"
    ),
    "wrong type": _STORE.format(event="CASE WHEN struck THEN 'step:x:finished' ELSE event END", topic="topic"),
}


def _planted(body: str) -> str:
    return f"""
        CREATE SEQUENCE IF NOT EXISTS realtime.planted_turn;
        CREATE TABLE IF NOT EXISTS realtime.planted (topic text, event text);
        CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true)
        RETURNS void
        LANGUAGE plpgsql
        AS $function$
        DECLARE
            struck boolean := nextval('realtime.planted_turn') % {EVERY} = 0;
        BEGIN
            IF struck THEN
                INSERT INTO realtime.planted VALUES (topic, event);
            END IF;
            {body}
        END
        $function$;
    """


PLANTED = {name: _planted(body) for name, body in _BODIES.items()}  # name → SQL that replaces realtime.send


def cut_partition(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Replace today's partition by two that meet `seconds` from now; nothing is cut where midnight comes before.

    Args:
        connection: in autocommit, its session's zone that of the senders.
    """
    with connection.transaction():
        row = connection.execute(
            """
            SELECT current_date::text, (current_date + 1)::text, cut::text, cut >= current_date + 1
            FROM (SELECT localtimestamp + make_interval(secs => %s) AS cut) AS found
            """,
            (seconds,),
        ).fetchone()
        assert row is not None
        today, tomorrow, cut, past_midnight = row
        if past_midnight:
            return
        name = f"messages_{today.replace('-', '_')}"
        connection.execute(
            f"""
            ALTER TABLE realtime.messages DETACH PARTITION realtime.{name};
            ALTER TABLE realtime.{name} RENAME TO {name}_whole;
            CREATE TABLE realtime.{name} PARTITION OF realtime.messages FOR VALUES FROM ('{today}') TO ('{cut}');
            CREATE TABLE realtime.{name}_rest PARTITION OF realtime.messages
                FOR VALUES FROM ('{cut}') TO ('{tomorrow}');
            INSERT INTO realtime.messages SELECT * FROM realtime.{name}_whole;
            DROP TABLE realtime.{name}_whole;
            """.encode()
        )


def drop_partitions(connection: psycopg.Connection[Any]) -> None:
    """Leave realtime.messages without any: nothing can be stored."""
    found = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'realtime.messages'::regclass"
    ).fetchall()
    for (partition,) in found:
        connection.execute(f"DROP TABLE {partition}".encode())
