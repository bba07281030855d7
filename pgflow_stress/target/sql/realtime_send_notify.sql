-- The row, and a notification that names it: a payload of NOTIFY ends at 8000 bytes, an event's does not.
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql
AS $function$
BEGIN
    INSERT INTO realtime.messages (payload, event, topic, private, extension)
    VALUES (payload, event, topic, private, 'broadcast');
    PERFORM pg_notify('pgflow_stress_events', topic || ' ' || event);
END
$function$;
