-- The row, and a notification that names it: a payload of NOTIFY ends at 8000 bytes, an event's does not. The id keeps
-- equal events of one transaction apart: equal notifications of a transaction are delivered once.
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    message_id uuid;
BEGIN
    INSERT INTO realtime.messages (payload, event, topic, private, extension)
    VALUES (payload, event, topic, private, 'broadcast')
    RETURNING id INTO message_id;
    PERFORM pg_notify('pgflow_stress_events', topic || ' ' || event || ' ' || message_id);
END
$function$;
