-- Stand-in for pg_cron: jobs are accepted and never run.
CREATE SCHEMA IF NOT EXISTS cron;
CREATE TABLE cron.job (
    jobid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule text NOT NULL,
    command text NOT NULL,
    jobname text UNIQUE
);
CREATE TABLE cron.job_run_details (
    jobid bigint,
    runid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command text,
    status text,
    return_message text,
    start_time timestamptz,
    end_time timestamptz
);
CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE sql AS $function$
    INSERT INTO cron.job (schedule, command, jobname) VALUES (schedule, command, job_name)
    ON CONFLICT (jobname) DO UPDATE SET schedule = excluded.schedule, command = excluded.command
    RETURNING jobid
$function$;
CREATE FUNCTION cron.unschedule(job_name text) RETURNS boolean LANGUAGE plpgsql AS $function$
BEGIN
    DELETE FROM cron.job WHERE jobname = job_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'could not find valid entry for job ''%''', job_name;
    END IF;
    RETURN true;
END
$function$;
