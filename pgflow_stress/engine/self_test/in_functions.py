"""Mutants planted into functions, which the job runs through.

All but those of realtime.send strike one run, task or flow of the job; none keeps it from being primed.
"""

from __future__ import annotations

from pgflow_stress.engine.self_test.base import Mutant, Where
from pgflow_stress.engine.self_test.planted_sends import DROP_PARTITIONS, PLANTED


def _completion(body: str) -> str:
    """A complete_task in front of pgflow's own, which is planted.complete_task then; `struck` is true of one task.

    pgflow's keeps its name, by which its body calls its arguments.
    """
    return f"""
        CREATE SCHEMA planted;
        ALTER FUNCTION pgflow.complete_task(uuid, text, integer, jsonb) SET SCHEMA planted;
        CREATE FUNCTION pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output jsonb)
        RETURNS SETOF pgflow.step_tasks
        LANGUAGE plpgsql
        AS $function$
        #variable_conflict use_variable
        DECLARE
            struck boolean := run_id = {{run}} AND step_slug = 'd';
            found pgflow.step_tasks;
        BEGIN
            {body}
        END
        $function$;
    """


_WHOLE = "SELECT * FROM planted.complete_task(run_id, step_slug, task_index, output)"
_ROW = """
    SELECT t.* INTO found FROM pgflow.step_tasks t
    WHERE t.run_id = complete_task.run_id AND t.step_slug = complete_task.step_slug
      AND t.task_index = complete_task.task_index;
"""


def _archiving(body: str) -> str:
    """An archive in front of pgmq's own, which is planted.archive then; `struck` is true of one message."""
    return f"""
        CREATE SCHEMA planted;
        ALTER FUNCTION pgmq.archive(text, bigint) SET SCHEMA planted;
        CREATE FUNCTION pgmq.archive(queue_name text, msg_id bigint)
        RETURNS boolean
        LANGUAGE plpgsql
        AS $function$
        DECLARE
            struck boolean := queue_name = {{flow}} AND msg_id = 1;
        BEGIN
            {body}
        END
        $function$;
    """


def _trigger(when: str, condition: str, body: str) -> str:
    """A trigger, `when` as in BEFORE UPDATE ON pgflow.runs, on rows of this condition."""
    return f"""
        CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $function$
        BEGIN
            {body}
        END
        $function$;
        CREATE TRIGGER planted {when} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION pgflow.planted();
    """


def _send(name: str) -> str:
    return PLANTED[name].replace("{", "{{").replace("}", "}}")


def _mutant(name: str, what: str, plant: str, caught_by: str, *, events: bool = False, stalls: bool = False) -> Mutant:
    return Mutant(name, what, plant, caught_by, Where.FUNCTIONS, events, stalls)


IN_FUNCTIONS = (
    _mutant(
        "lost completion",
        "complete_task answers that a task is completed, and does nothing",
        _completion(f"IF struck THEN {_ROW} found.status := 'completed'; RETURN NEXT found; RETURN; END IF; "
                    f"RETURN QUERY {_WHOLE};"),
        "tasks acknowledged as completed are completed",
    ),
    _mutant(
        "denied completion",
        "complete_task completes a task, and answers that it is started",
        _completion(f"IF NOT struck THEN RETURN QUERY {_WHOLE}; RETURN; END IF; "
                    f"SELECT * INTO found FROM ({_WHOLE}) AS done; found.status := 'started'; RETURN NEXT found;"),
        "tasks completed were acknowledged to a worker",
        stalls=True,
    ),
    _mutant(
        "wrong output of a task",
        "complete_task stores another output than it was given",
        _completion(f"IF struck THEN output := '{{{{}}}}'; END IF; RETURN QUERY {_WHOLE};"),
        "tasks: output is what was sent",
    ),
    _mutant(
        "task completed twice",
        "complete_task says once more that a step is completed",
        _completion(f"""
            RETURN QUERY {_WHOLE};
            IF struck THEN
                PERFORM realtime.send(
                    jsonb_build_object('event_type', 'step:completed', 'run_id', run_id, 'step_slug', step_slug,
                                       'status', 'completed', 'output', output),
                    'step:d:completed', 'pgflow:run:' || run_id, false
                );
            END IF;
        """),
        "events: none twice",
        events=True,
    ),
    _mutant(
        "message not archived",
        "archive leaves the message of a completed task in its queue",
        _archiving("RETURN struck OR planted.archive(queue_name, msg_id);"),
        "messages: one a task, archived when it is finished",
    ),
    _mutant(
        "message archived and kept",
        "archive copies a message and leaves it in its queue as well",
        _archiving("""
            IF struck THEN
                INSERT INTO {archive} (msg_id, read_ct, enqueued_at, vt, message)
                SELECT q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message FROM {queue} q
                WHERE q.msg_id = archive.msg_id;
                RETURN true;
            END IF;
            RETURN planted.archive(queue_name, msg_id);
        """),
        "messages: one a task, archived when it is finished",
    ),
    _mutant(
        "leaked message",
        "a task's message is sent twice",
        _trigger("AFTER INSERT ON pgflow.step_tasks", "new.run_id = {run} AND new.step_slug = 'b'", """
            PERFORM pgmq.send(new.flow_slug, jsonb_build_object('flow_slug', new.flow_slug, 'run_id', new.run_id,
                'step_slug', new.step_slug, 'task_index', new.task_index));
            RETURN NULL;
        """),
        "messages: none without a task",
    ),
    _mutant(
        "stuck run",
        "a run whose last step is completed stays started",
        _trigger("BEFORE UPDATE ON pgflow.runs", "new.run_id = {run} AND new.status = 'completed'", "RETURN NULL;"),
        "runs: whose every step is completed are completed",
    ),
    _mutant(
        "skipped dependency",
        "a step is not started when the last step that it waits for is completed",
        _trigger("BEFORE UPDATE ON pgflow.step_states",
                 "new.run_id = {run} AND new.step_slug = 'c' AND new.status = 'started'", "RETURN NULL;"),
        "steps: whose every dependency is done are started",
        stalls=True,
    ),
    _mutant(
        "dependency not waited for",
        "a step is started with its run although it has dependencies",
        _trigger("BEFORE INSERT OR UPDATE ON pgflow.step_states", "new.run_id = {run} AND new.step_slug = 'c'",
                 "new.remaining_deps := 0; RETURN new;"),
        "events: in order within a run",
        events=True,
    ),
    _mutant(
        "dependency not stored",
        "add_step drops one of a step's two dependencies",
        _trigger("BEFORE INSERT ON pgflow.deps", "new.flow_slug = {flow} AND new.step_slug = 'c' "
                 "AND new.dep_slug = 'b'", "RETURN NULL;")
        + """
        CREATE FUNCTION pgflow.planted_count() RETURNS trigger LANGUAGE plpgsql AS $function$
        BEGIN
            new.deps_count := 1;
            RETURN new;
        END
        $function$;
        CREATE TRIGGER planted BEFORE INSERT ON pgflow.steps FOR EACH ROW
            WHEN (new.flow_slug = {flow} AND new.step_slug = 'c') EXECUTE FUNCTION pgflow.planted_count();
        """,
        "flows: steps and dependencies are the plan's",
    ),
    _mutant(
        "wrong remaining_steps",
        "a run that completes is left with a step to go",
        _trigger("BEFORE UPDATE ON pgflow.runs", "new.run_id = {run} AND new.status = 'completed'",
                 "new.remaining_steps := 1; RETURN new;"),
        "runs: steps and remaining_steps",
    ),
    _mutant(
        "attempts over the limit",
        "a task is started with more attempts than it may have",
        _trigger("BEFORE UPDATE ON pgflow.step_tasks",
                 "new.run_id = {run} AND new.step_slug = 'a' AND new.status = 'started'",
                 "new.attempts_count := 9; RETURN new;"),
        "tasks: attempts and completed_at",
    ),
    _mutant(
        "wrong input of a run",
        "start_flow stores another input than it was given",
        _trigger("BEFORE INSERT ON pgflow.runs", "new.run_id = {run}", "new.input := '[]'; RETURN new;"),
        "runs: input is what was given",
    ),
    _mutant(
        "event dropped",
        "realtime.send stores every event but one in five",
        _send("drops 1 in N"),
        "events: every expected one is stored",
        events=True,
    ),
    _mutant(
        "event doubled", "realtime.send stores one in five twice", _send("twice"), "events: none twice", events=True
    ),
    _mutant(
        "event reordered",
        "run:started is stored after the event that follows it",
        _send("reordered"),
        "events: in order within a run",
        events=True,
    ),
    _mutant(
        "event misaddressed",
        "realtime.send stores one in five on the topic of a run that there is not",
        _send("wrong topic"),
        "events: every expected one is stored",
        events=True,
    ),
    _mutant(
        "event of a wrong type",
        "realtime.send stores one in five under another name",
        _send("wrong type"),
        "events: every expected one is stored",
        events=True,
    ),
    _mutant(
        "event with a wrong payload",
        "realtime.send stores another output than it was given",
        _send("wrong payload"),
        "events: payload says what the final rows say",
        events=True,
    ),
    _mutant(
        "unexpected event",
        "a step that is completed is said to be skipped as well",
        _send("strangers"),
        "events: none unexpected",
        events=True,
    ),
    _mutant(
        "event erased",
        "one in five is taken away again in the transaction that sends it",
        _send("erased"),
        "events: every stored one is received",
        events=True,
    ),
    _mutant(
        "event unheard",
        "one in five gets into its topic by an update, which nobody is told of",
        _send("unheard"),
        "events: every stored one is received",
        events=True,
    ),
    _mutant(
        "partition missing",
        "realtime.messages has no partition for today: realtime.send warns and stores nothing",
        DROP_PARTITIONS,
        "events: every expected one is stored",
        events=True,
    ),
)  # fmt: skip
