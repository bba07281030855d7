"""A user's own flow, driven where it is: whether nobody else is at work on it, and the removal of our runs of it.

Its definition, its queue and everybody else's runs and messages stay as they are. Ours are known by their run ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.ids import run_id_bounds
from pgflow_stress.target import connect

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_ALIVE_SECONDS = 60  # pgflow's own worker tells that it lives every 5 s
_ELSEWHERE: LiteralString = """
    SELECT DISTINCT r.flow_slug FROM pgflow.runs r
    WHERE r.run_id BETWEEN %s AND %s AND r.flow_slug !~ '^ps[0-9a-f]{16}_'
"""


def check_idle(connection: Connection, flow: str, what: str) -> None:
    """Refuse a flow that others are at work on: they would take our tasks, or we theirs.

    Raises:
        SetUpFault: says what is going on, and what to do.
    """
    runs, workers = connect.rows(
        connection,
        """
        SELECT (SELECT count(*) FROM pgflow.runs WHERE flow_slug = %(flow)s AND status = 'started'),
               (SELECT count(*) FROM pgflow.workers w WHERE w.queue_name = %(flow)s AND w.deprecated_at IS NULL
                AND to_jsonb(w) ->> 'stopped_at' IS NULL
                AND w.last_heartbeat_at > clock_timestamp() - %(alive)s * interval '1 second')
        """,
        flow=flow,
        alive=_ALIVE_SECONDS,
    )[0]
    if workers:
        raise SetUpFault(
            f"{what}: {workers} of its own workers work on flow {flow!r} and would take our tasks: stop them, and wait "
            f"{_ALIVE_SECONDS} s"
        )
    messages = _count(connection, _table(connection, "q", flow), "true")
    if runs or messages:
        raise SetUpFault(
            f"{what}: flow {flow!r} has {runs} runs in progress and {messages} messages in its queue, which ours would "
            "wait behind: let them finish first, or give --flow FILE.sql, which makes a flow of its own"
        )


def check_privileges(connection: Connection, flow: str, what: str) -> None:
    """The rights on the flow's own queue, which somebody else made.

    Raises:
        SetUpFault: one is missing.
    """
    for kind, rights in (("q", "SELECT, INSERT, UPDATE, DELETE"), ("a", "SELECT, INSERT, DELETE")):
        for right in rights.split(", "):
            table = _table(connection, kind, flow)
            if not connect.value(connection, "SELECT has_table_privilege(%s, %s)", table, right):
                raise SetUpFault(
                    f"{what}: the role lacks {right} on table {table}: grant it, or use a role that has it"
                )


def delete_runs(connection: Connection, nonce: int) -> list[str]:
    """Remove a repetition's runs, tasks and messages of flows that are not its own; what of its messages is left."""
    first, last = run_id_bounds(nonce)
    left: list[str] = []
    for (flow,) in connect.rows(connection, _ELSEWHERE, first, last):
        messages = [
            message
            for (message,) in connect.rows(
                connection,
                """
                SELECT message_id FROM pgflow.step_tasks
                WHERE flow_slug = %s AND run_id BETWEEN %s AND %s AND message_id IS NOT NULL
                """,
                flow,
                first,
                last,
            )
        ]
        tables = [_table(connection, kind, flow) for kind in ("q", "a")]
        for table in tables:
            connection.execute(f"DELETE FROM {table} WHERE msg_id = ANY(%s)".encode(), (messages,))
        counts = [(table, _count(connection, table, "msg_id = ANY(%s)", messages)) for table in tables]
        left += [f"{count} in {table}" for table, count in counts if count]
    for table in ("step_tasks", "step_states", "runs"):
        connection.execute(f"DELETE FROM pgflow.{table} WHERE run_id BETWEEN %s AND %s".encode(), (first, last))
    return left


def _count(connection: Connection, table: str, condition: str, *parameters: object) -> int:
    found = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {condition}".encode(), parameters or None
    ).fetchone()
    assert found is not None
    return int(found[0])


def _table(connection: Connection, kind: str, flow: str) -> str:
    """The flow's queue or archive, quoted."""
    return str(connect.value(connection, "SELECT format('pgmq.%%I', %s || '_' || lower(%s))", kind, flow))
