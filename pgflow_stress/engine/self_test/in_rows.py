"""Mutants of rows: damage done by hand to a finished job, audited, and rolled back."""

from __future__ import annotations

from pgflow_stress.engine.self_test.base import Mutant, Where

_STATE = "run_id = {run} AND step_slug = 'd'"
# A defect of pgflow's would pass these by not being there.
_UNCHECKED = "ALTER TABLE pgflow.step_states DROP CONSTRAINT IF EXISTS output_only_for_completed_or_null;"
_UNCOUNTED = "ALTER TABLE pgflow.step_states DROP CONSTRAINT status_and_remaining_tasks_match;"


def _mutant(name: str, what: str, plant: str, caught_by: str, needs_column: tuple[str, str] | None = None) -> Mutant:
    return Mutant(name, what, plant, caught_by, Where.ROWS, needs_column=needs_column)


IN_ROWS = (
    _mutant(
        "completion undone",
        "a completed task is started again",
        f"UPDATE pgflow.step_tasks SET status = 'started', completed_at = NULL, output = NULL WHERE {_STATE}",
        "tasks acknowledged as completed are completed",
    ),
    _mutant(
        "wrong status of a task",
        "a completed task is failed",
        "UPDATE pgflow.step_tasks SET status = 'failed', completed_at = NULL, failed_at = now(), output = NULL "
        f"WHERE {_STATE}",
        "every expected task is completed",
    ),
    _mutant(
        "wrong remaining_tasks",
        "a step counts a task that there is not",
        f"{_UNCOUNTED} UPDATE pgflow.step_states SET remaining_tasks = 1 WHERE {_STATE}",
        "steps: tasks and remaining_tasks",
        ),
    _mutant(
        "wrong remaining_deps",
        "a step waits for a dependency that is completed",
        f"UPDATE pgflow.step_states SET remaining_deps = 1 WHERE {_STATE}",
        "steps: dependencies and remaining_deps",
    ),
    _mutant(
        "wrong status of a step",
        "a completed step is only created",
        f"{_UNCHECKED} UPDATE pgflow.step_states SET status = 'created', started_at = NULL, completed_at = NULL, "
        f"remaining_tasks = NULL WHERE {_STATE}",
        "runs: steps and remaining_steps",
    ),
    _mutant(
        "run completed too early",
        "a run is completed while a task of its last step is in its queue",
        f"{_UNCHECKED} UPDATE pgflow.step_tasks SET status = 'queued', started_at = NULL, completed_at = NULL, "
        f"output = NULL WHERE {_STATE};"
        f"UPDATE pgflow.step_states SET status = 'started', completed_at = NULL, remaining_tasks = 1 WHERE {_STATE}",
        "runs: steps and remaining_steps",
    ),
    _mutant(
        "step state missing",
        "a run lacks one of its steps, with its task",
        f"DELETE FROM pgflow.step_tasks WHERE {_STATE}; DELETE FROM pgflow.step_states WHERE {_STATE}",
        "runs: steps and remaining_steps",
    ),
    _mutant(
        "task missing",
        "a completed step has no task",
        f"DELETE FROM pgflow.step_tasks WHERE {_STATE}",
        "steps: tasks and remaining_tasks",
    ),
    _mutant(
        "task extra",
        "a step has a task more than its count",
        "INSERT INTO pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id) "
        f"SELECT flow_slug, run_id, step_slug, 1, message_id FROM pgflow.step_tasks WHERE {_STATE}",
        "steps: tasks and remaining_tasks",
    ),
    _mutant(
        "step without tasks",
        "a step that ran is said to have none to run",
        f"UPDATE pgflow.step_states SET initial_tasks = 0 WHERE {_STATE}",
        "events: final rows and the flow's shape agree",
    ),
    _mutant(
        "completed_at of a task missing",
        "a completed task does not say when",
        f"UPDATE pgflow.step_tasks SET completed_at = NULL WHERE {_STATE}",
        "tasks: attempts and completed_at",
    ),
    _mutant(
        "completed_at of a step missing",
        "a completed step does not say when",
        f"UPDATE pgflow.step_states SET completed_at = NULL WHERE {_STATE}",
        "steps: times agree with the status",
    ),
    _mutant(
        "completed_at of a run missing",
        "a completed run does not say when",
        "UPDATE pgflow.runs SET completed_at = NULL WHERE run_id = {run}",
        "runs: times agree with the status",
    ),
    _mutant(
        "failed_at of a completed task",
        "a completed task says when it failed",
        f"UPDATE pgflow.step_tasks SET completed_at = NULL, failed_at = now() WHERE {_STATE}",
        "tasks: times agree with the status",
    ),
    _mutant(
        "task never started",
        "a completed task has no attempt",
        f"UPDATE pgflow.step_tasks SET attempts_count = 0 WHERE {_STATE}",
        "tasks: attempts and completed_at",
    ),
    _mutant(
        "task in a foreign run",
        "a run that is nobody's has tasks in our queue",
        "SELECT pgflow.start_flow({flow}, '{{}}')",
        "run ids are ours",
    ),
    _mutant(
        "run too many",
        "a run is there that the plan does not have",
        "SELECT pgflow.start_flow({flow}, '{{}}', {unplanned_run})",
        "runs: each is one of the plan's, in its flow",
    ),
    _mutant(
        "run of another flow",
        "a run is of another flow than it was started in",
        "UPDATE pgflow.runs SET flow_slug = {other_flow} WHERE run_id = {run}",
        "runs: each is one of the plan's, in its flow",
    ),
    _mutant(
        "wrong output of a run",
        "a run's output is not that of its last step",
        "UPDATE pgflow.runs SET output = '{{\"d\": 1}}' WHERE run_id = {run}",
        "runs: output is that of the leaf steps",
    ),
    _mutant(
        "wrong output of a step",
        "a step keeps another output than its task's",
        f"UPDATE pgflow.step_states SET output = '[1]' WHERE {_STATE}",
        "steps: output is that of their tasks",
        needs_column=("step_states", "output"),
    ),
    _mutant(
        "message missing",
        "a task's message is neither in the queue nor archived",
        "DELETE FROM {archive} WHERE msg_id = 1",
        "messages: one a task, archived when it is finished",
    ),
    _mutant(
        "read_ct too low",
        "a message was read less often than its task was started",
        "UPDATE {archive} SET read_ct = 0 WHERE msg_id = 1",
        "messages: one a task, archived when it is finished",
    ),
    _mutant(
        "message without a task",
        "a message in the queue is of no task",
        "SELECT pgmq.send({flow}, '{{}}'::jsonb)",
        "messages: none without a task",
    ),
    _mutant(
        "message in another queue",
        "a task's message is archived beside those of another flow",
        "WITH gone AS (DELETE FROM {archive} WHERE msg_id = 1 RETURNING *) "
        "INSERT INTO {other_archive} (msg_id, read_ct, enqueued_at, vt, message) "
        "SELECT 1000, read_ct, enqueued_at, vt, message FROM gone",
        "messages: none without a task",
    ),
    _mutant(
        "message of another task",
        "a task's message names another step",
        "UPDATE {archive} SET message = jsonb_set(message, '{{step_slug}}', '\"z\"') WHERE msg_id = 1",
        "messages: each names its task",
    ),
    _mutant(
        "queue missing",
        "a flow's queue is gone, with what is archived",
        "SELECT pgmq.drop_queue({flow})",
        "queues: every flow has one",
    ),
    _mutant(
        "step too many",
        "a flow has a step that it was not given",
        "SELECT pgflow.add_step({flow}, 'z')",
        "flows: steps and dependencies are the plan's",
    ),
)  # fmt: skip
