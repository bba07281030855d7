-- What a client cannot exceed: the worker's three statements, a transaction each, in a loop inside the server.
-- In pg_temp, so that it goes with its session and touches nobody's schema.
-- tasks: completed; seconds: from the first read to the last completion's commit, the last empty read not counted.
CREATE OR REPLACE PROCEDURE pg_temp.pgflow_stress_drain(
    flow text, worker uuid, expected bigint, batch integer, vt_seconds integer, task_output jsonb,
    INOUT tasks bigint, INOUT seconds double precision
)
LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    messages bigint[];
    runs uuid[];
    steps text[];
    indexes integer[];
    completed bigint;
BEGIN
    tasks := 0;
    WHILE tasks < expected LOOP
        SELECT array_agg(m.msg_id) INTO messages FROM pgmq.read(flow, vt_seconds, batch) AS m;
        COMMIT;
        EXIT WHEN messages IS NULL;
        SELECT array_agg(t.run_id), array_agg(t.step_slug), array_agg(t.task_index) INTO runs, steps, indexes
        FROM pgflow.start_tasks(flow_slug => flow, msg_ids => messages, worker_id => worker) AS t;
        COMMIT;
        EXIT WHEN runs IS NULL;
        SELECT count(c.status) INTO completed
        FROM unnest(runs, steps, indexes) AS u(r, s, i),
             LATERAL pgflow.complete_task(run_id => u.r, step_slug => u.s, task_index => u.i, output => task_output) AS c;
        COMMIT;
        tasks := tasks + completed;
        seconds := extract(epoch FROM clock_timestamp() - began);
    END LOOP;
END
$$;
