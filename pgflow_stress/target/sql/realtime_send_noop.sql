-- Nothing: what events cost is the difference to this.
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql
AS $function$
BEGIN
END
$function$;
