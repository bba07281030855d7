"""What a pgflow can do, and what it has that this tool does not know: found by looking, never by its version.

What is known here is the sum of pgflow 0.8 to 0.14. What a later one adds is named in the result and carried: its
columns are left alone, rows with its statuses are counted and not judged, its events are counted by their type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pgflow_stress.target import connect

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

OLDEST = "pgflow 0.8 with pgmq 1.5 is the oldest"

# What the tool calls, by the names and types of all arguments that it gives.
_NEEDED = {
    "pgflow.create_flow": "text, integer, integer, integer",
    "pgflow.add_step": "text, text, text[], integer, integer, integer, integer, text",
    "pgflow.start_flow": "text, jsonb, uuid",
    "pgflow.start_tasks": "text, bigint[], uuid",
    "pgflow.complete_task": "uuid, text, integer, jsonb",
    "pgflow.fail_task": "uuid, text, integer, text",
    "pgmq.read": "text, integer, integer",
    "pgmq.drop_queue": "text",
}

_OPTIONS = "opt_max_attempts opt_base_delay opt_timeout"
_TIMES = "started_at completed_at failed_at"
_COLUMNS = {
    "flows": f"flow_slug created_at {_OPTIONS}",
    "steps": f"flow_slug step_slug step_type step_index deps_count created_at opt_start_delay {_OPTIONS} "
    "required_input_pattern forbidden_input_pattern when_unmet when_exhausted",
    "deps": "flow_slug dep_slug step_slug created_at",
    "runs": f"run_id flow_slug status input output remaining_steps {_TIMES}",
    "step_states": "flow_slug run_id step_slug status remaining_tasks remaining_deps initial_tasks created_at "
    f"error_message output skipped_at skip_reason {_TIMES}",
    "step_tasks": "flow_slug run_id step_slug message_id task_index status attempts_count error_message output "
    f"queued_at last_worker_id requeued_count last_requeued_at permanently_stalled_at {_TIMES}",
    "workers": "worker_id queue_name function_name started_at deprecated_at stopped_at last_heartbeat_at",
}
STATUSES = {
    "runs": frozenset({"started", "completed", "failed"}),
    "step_states": frozenset({"created", "started", "completed", "failed", "skipped"}),
    "step_tasks": frozenset({"queued", "started", "completed", "failed"}),
}
_STEP_TYPES = frozenset({"single", "map"})
# Of a status: CHECK constraints that list its values, not those that tie one to another column.
_LISTED = re.compile(r"\A\(?\(?(?P<column>status|step_type) = ANY \(+ARRAY\[(?P<values>[^\]]*)\]")
_WORD = re.compile(r"'([^']*)'")

# Capability: a column (table.column) or a function that shows it.
_SHOWN_BY = {
    "start delays": "steps.opt_start_delay",
    "map steps": "step_states.initial_tasks",
    "step outputs": "step_states.output",
    "conditions": "steps.required_input_pattern",
    "skipped steps": "step_states.skipped_at",
    "requeue of stalled tasks": "requeue_stalled_tasks()",
    "compilation of flows": "ensure_flow_compiled()",
}


def why_unsupported(connection: Connection) -> str:
    """Why the connected database's pgflow cannot be driven; empty where it can."""
    found: dict[str, list[str]] = {}
    for name, arguments in connect.rows(
        connection,
        """
        SELECT n.nspname || '.' || p.proname, oidvectortypes(p.proargtypes)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('pgflow', 'pgmq')
        """,
    ):
        found.setdefault(name, []).append(arguments)
    for name, needed in _NEEDED.items():
        if not any(arguments == needed or arguments.startswith(f"{needed}, ") for arguments in found.get(name, [])):
            return f"no function {name}({needed})"
    headers = connect.value(
        connection,
        """
        SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'pgmq' AND c.relname = 'message_record' AND a.attname = 'headers' AND NOT a.attisdropped
        """,
    )
    return "" if headers else "pgmq.message_record has no headers"


def capability_facts(connection: Connection) -> dict[str, Any]:
    """For the fingerprint: `capabilities`, and `unknown` where there is something of that kind."""
    columns = {
        f"{table}.{column}"
        for table, column in connect.rows(
            connection,
            """
            SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'pgflow' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
            """,
        )
    }
    functions = connect.rows(
        connection,
        """
        SELECT p.proname, coalesce(p.proargnames, '{}') FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'pgflow'
        """,
    )
    there = columns | {f"{name}()" for name, _ in functions}
    capabilities = [name for name, shown_by in _SHOWN_BY.items() if shown_by in there]
    if any(name == "start_tasks" and "flow_input" in _returned(connection) for name, _ in functions):
        capabilities.append("flow_input")
    unknown = {kind: found for kind, found in _unknown(connection, columns).items() if found}
    return {"capabilities": sorted(capabilities)} | ({"unknown": unknown} if unknown else {})


def event_type_is_pgflows(connection: Any, event_type: str) -> bool:
    """Whether a function of pgflow's names a type of event, as 'run:paused' or ':paused'."""
    whole, what = f"'{event_type}'", f":{event_type.partition(':')[2]}'"
    found = connection.execute(
        """
        SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'pgflow' AND (position(%s in p.prosrc) > 0 OR position(%s in p.prosrc) > 0)
        """,
        (whole, what),
    ).fetchone()
    return bool(found[0])


def _returned(connection: Connection) -> set[str]:
    """The columns of what start_tasks returns."""
    return {
        name
        for (name,) in connect.rows(
            connection,
            """
            SELECT a.attname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            JOIN pg_type t ON t.oid = p.prorettype JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0
            WHERE n.nspname = 'pgflow' AND p.proname = 'start_tasks'
            """,
        )
    }


def _unknown(connection: Connection, columns: set[str]) -> dict[str, list[str]]:
    known = {f"{table}.{column}" for table, names in _COLUMNS.items() for column in names.split()}
    of_known_tables = {column for column in columns if column.partition(".")[0] in _COLUMNS}
    statuses, types = [], []
    for table, definition in connect.rows(
        connection,
        """
        SELECT c.relname, pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'pgflow' AND k.contype = 'c'
        """,
    ):
        listed = _LISTED.match(str(definition))
        if listed is None:
            continue
        words = set(_WORD.findall(listed["values"]))
        if listed["column"] == "status" and table in STATUSES:
            statuses += [f"{table}: {word}" for word in words - STATUSES[table]]
        elif listed["column"] == "step_type":
            types += sorted(words - _STEP_TYPES)
    return {"columns": sorted(of_known_tables - known), "statuses": sorted(statuses), "step_types": types}
