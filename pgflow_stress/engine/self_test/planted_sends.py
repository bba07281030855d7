"""Bodies of realtime.send with one fault each.

A body strikes every EVERY-th call, counted by a sequence, and keeps the event as it was called with in
realtime.planted, in the same transaction: what was rolled back isn't there, and a test knows exactly what was struck.
"""

from __future__ import annotations

EVERY = 5

_STORE = """
    INSERT INTO realtime.messages (payload, event, topic, private, extension)
    VALUES ({payload}, {event}, {topic}, private, 'broadcast');
"""


def _store(payload: str = "payload", event: str = "event", topic: str = "topic") -> str:
    return _STORE.format(payload=payload, event=event, topic=topic)


_SKIPPED = """payload || '{"event_type": "step:skipped", "status": "skipped"}'"""
_BODIES = {
    "drops 1 in N": f"IF NOT struck THEN {_store()} END IF;",
    "twice": f"{_store()} IF struck THEN {_store()} END IF;",
    "wrong topic": _store(topic="CASE WHEN struck THEN 'pgflow:run:' || gen_random_uuid() ELSE topic END"),
    "wrong type": _store(event="CASE WHEN struck THEN 'step:x:finished' ELSE event END"),
    "wrong payload": _store(
        payload="CASE WHEN payload ? 'output' THEN jsonb_set(payload, '{output}', '{\"p\": 1}') ELSE payload END"
    ),
    "erased": f"""
        {_store()}
        IF struck THEN
            DELETE FROM realtime.messages m WHERE m.topic = send.topic AND m.event = send.event;
        END IF;
    """,
    # An observer that reads inserts sees another topic; the row is in its place all the same.
    "unheard": f"""
        {_store(topic="CASE WHEN struck THEN 'elsewhere' ELSE topic END")}
        IF struck THEN
            UPDATE realtime.messages m SET topic = send.topic WHERE m.topic = 'elsewhere';
        END IF;
    """,
    # A run's first event is held back until its second is stored.
    "reordered": f"""
        IF event = 'run:started' THEN
            INSERT INTO realtime.held VALUES (payload, topic);
            RETURN;
        END IF;
        {_store()}
        INSERT INTO realtime.messages (payload, event, topic, private, extension)
        SELECT h.payload, 'run:started', h.topic, true, 'broadcast' FROM realtime.held h WHERE h.topic = send.topic;
        DELETE FROM realtime.held h WHERE h.topic = send.topic;
    """,
    "strangers": f"""
        {_store()}
        IF event = 'step:a:completed' THEN
            {_store(_SKIPPED, "'step:a:skipped'")}
        END IF;
    """,
}


def _planted(body: str) -> str:
    return f"""
        CREATE SEQUENCE IF NOT EXISTS realtime.planted_turn;
        CREATE TABLE IF NOT EXISTS realtime.planted (topic text, event text);
        CREATE TABLE IF NOT EXISTS realtime.held (payload jsonb, topic text);
        CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true)
        RETURNS void
        LANGUAGE plpgsql
        AS $function$
        #variable_conflict use_variable
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

# Without any partition nothing can be stored.
DROP_PARTITIONS = """
    DO $block$
    DECLARE
        part regclass;
    BEGIN
        FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'realtime.messages'::regclass LOOP
            EXECUTE format('DROP TABLE %s', part);
        END LOOP;
    END
    $block$;
"""
