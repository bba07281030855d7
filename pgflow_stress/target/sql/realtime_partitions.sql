-- Partitions of today and the days after it, by the server's clock: UTC, and the session's zone, in which the default
-- now() of a timestamp without time zone is written.
DO $partitions$
DECLARE
    day date;
BEGIN
    FOR day IN
        SELECT DISTINCT first + n
        FROM unnest(ARRAY[(now() AT TIME ZONE 'UTC')::date, current_date]) AS first, generate_series(0, /* days_ahead */ 1) AS n
    LOOP
        IF to_regclass(format('realtime.messages_%s', to_char(day, 'YYYY_MM_DD'))) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE realtime.%I PARTITION OF realtime.messages FOR VALUES FROM (%L) TO (%L)',
                'messages_' || to_char(day, 'YYYY_MM_DD'), day, day + 1
            );
        END IF;
    END LOOP;
END
$partitions$;
