-- A notification a row, in the words of realtime_send_notify.sql; {name} is the observer's, which alone drops it again.
-- Only pgflow's topics: another's could be longer than a payload of NOTIFY may be, and its insert would fail.
CREATE FUNCTION pgflow_stress."{name}"()
RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_notify('pgflow_stress_events', NEW.topic || ' ' || NEW.event || ' ' || NEW.id);
    RETURN NULL;
END
$function$;
CREATE TRIGGER "{name}" AFTER INSERT ON realtime.messages
    FOR EACH ROW WHEN (starts_with(NEW.topic, 'pgflow:run:')) EXECUTE FUNCTION pgflow_stress."{name}"();
