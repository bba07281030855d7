-- What Supabase's realtime.send does: an id into the payload, the topic into a setting, the row, errors as warnings.
CREATE OR REPLACE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql
AS $function$
DECLARE
    message_id uuid;
    message_payload jsonb;
BEGIN
    BEGIN
        message_id := gen_random_uuid();
        IF payload ? 'id' THEN
            message_payload := payload;
        ELSE
            message_payload := jsonb_set(payload, '{id}', to_jsonb(message_id));
        END IF;
        EXECUTE format('SET LOCAL realtime.topic TO %L', topic);
        INSERT INTO realtime.messages (id, payload, event, topic, private, extension)
        VALUES (message_id, message_payload, event, topic, private, 'broadcast');
    EXCEPTION
        WHEN OTHERS THEN
            RAISE WARNING 'ErrorSendingBroadcastMessage: %', SQLERRM;
    END;
END
$function$;
