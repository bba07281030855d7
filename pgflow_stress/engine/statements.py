"""The statements of the hot path: the names, types and SQL that ext/pgflow_stress_hot expects of a connection.

Every answer is one row: arrays aggregated by the server, so that the client's cost of a row is paid once a batch.
Function calls name their arguments and results name their columns, so that one text fits every supported version.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from pgflow_stress.core.ids import RUN_ID_PREFIX
from pgflow_stress.engine.orders import WorkerOrder
from pgflow_stress.engine.own_definitions import Arguments, arguments_of
from pgflow_stress.scenario.failing import Failing
from pgflow_stress.scenario.options import EmptyPoll, Mode

TEXT, INT4, INT8, UUID, JSONB = 25, 23, 20, 2950, 3802
TEXTS, INT4S, INT8S, UUIDS, JSONBS = 1009, 1007, 1016, 2951, 3807


@dataclass(frozen=True, slots=True)
class Statement:
    """One prepared statement."""

    name: bytes
    sql: bytes
    types: tuple[int, ...]


PING = Statement(b"ping", b"select 1", ())

_CREATE_FLOW_ONE = Statement(b"create_flow", b"select from pgflow.create_flow(flow_slug => $1%s)", (TEXT,))
_CREATE_FLOW_MANY = Statement(
    b"create_flow",
    b"select count(c.flow_slug) from unnest($1) as u(f), lateral pgflow.create_flow(flow_slug => u.f%s) as c",
    (TEXTS,),
)
_ADD_STEP_ONE = Statement(
    b"add_step",
    b"select from pgflow.add_step(flow_slug => $1, step_slug => $2, deps_slugs => $3::text[], step_type => $4%s)",
    (TEXT, TEXT, TEXT, TEXT),
)
_ADD_STEP_MANY = Statement(
    b"add_step",
    b"select count(c.step_index) from unnest($1, $2, $3, $4) as u(f, s, d, k), lateral pgflow.add_step("
    b"flow_slug => u.f, step_slug => u.s, deps_slugs => u.d::text[], step_type => u.k%s) as c",
    (TEXTS, TEXTS, TEXTS, TEXTS),
)
_START_FLOW_ONE = Statement(
    b"start_flow",
    b"select from pgflow.start_flow(flow_slug => $1, run_id => $2, input => $3)",
    (TEXT, UUID, JSONB),
)
_START_FLOW_MANY = Statement(
    b"start_flow",
    b"select count(c.run_id) from unnest($1, $2) as u(f, r), "
    b"lateral pgflow.start_flow(flow_slug => u.f, run_id => u.r, input => $3) as c",
    (TEXTS, UUIDS, JSONB),
)
_READ = Statement(b"read", b"select array_agg(msg_id) from pgmq.read($1, $2, $3)", (TEXT, INT4, INT4))
_READ_WITH_POLL = Statement(
    b"read", b"select array_agg(msg_id) from pgmq.read_with_poll($1, $2, $3, $4, $5)", (TEXT, INT4, INT4, INT4, INT4)
)
_START_TASKS = Statement(
    b"start_tasks",
    b"select array_agg(run_id), array_agg(step_slug), array_agg(task_index), array_agg(msg_id), array_agg(input) "
    b"from pgflow.start_tasks(flow_slug => $1, msg_ids => $2, worker_id => $3)",
    (TEXT, INT8S, UUID),
)
_COMPLETE_ONE = Statement(
    b"complete",
    b"select status from pgflow.complete_task(run_id => $1, step_slug => $2, task_index => $3, output => $4)",
    (UUID, TEXT, INT4, JSONB),
)
_COMPLETE_MANY = Statement(
    b"complete",
    # One row whatever the batch: how many are completed, and which, only where it was not all of them.
    b"select count(*) filter (where c.status = 'completed'), case when "
    b"count(*) filter (where c.status = 'completed') < cardinality($1) then "
    b"array_agg(u.n) filter (where c.status = 'completed') end "
    b"from unnest($1, $2, $3, $4) with ordinality as u(r, s, i, o, n), "
    b"lateral pgflow.complete_task(run_id => u.r, step_slug => u.s, task_index => u.i, output => u.o) as c",
    (UUIDS, TEXTS, INT4S, JSONBS),
)


_FAIL_ONE = Statement(
    b"fail",
    b"select status from pgflow.fail_task(run_id => $1, step_slug => $2, task_index => $3, error_message => $4)",
    (UUID, TEXT, INT4, TEXT),
)
_FAIL_MANY = Statement(
    b"fail",
    # One row whatever the batch: how many calls, and which of them failed a task for good.
    b"select count(*), array_agg(u.n) filter (where c.status = 'failed') "
    b"from unnest($1, $2, $3) with ordinality as u(r, s, i, n), "
    b"lateral pgflow.fail_task(run_id => u.r, step_slug => u.s, task_index => u.i, error_message => $4) as c",
    (UUIDS, TEXTS, INT4S, TEXT),
)


# What pgflow's own worker sends: the SQL client of @pgflow/core, and the heartbeat of edge-worker's Queries. They go
# unprepared, and are here in the order in which the extension's EdgeCycle takes them.
EDGE_STATEMENTS = (
    b"SELECT * FROM pgmq.read_with_poll("
    b"queue_name => $1, vt => $2, qty => $3, max_poll_seconds => $4, poll_interval_ms => $5);",
    b"SELECT * FROM pgflow.start_tasks(flow_slug => $1, msg_ids => $2::bigint[], worker_id => $3::uuid);",
    b"SELECT pgflow.complete_task("
    b"run_id => $1::uuid, step_slug => $2::text, task_index => $3::int, output => $4::jsonb);",
    b"SELECT pgflow.fail_task("
    b"run_id => $1::uuid, step_slug => $2::text, task_index => $3::int, error_message => $4::text);",
    b"UPDATE pgflow.workers AS w SET last_heartbeat_at = clock_timestamp() WHERE w.worker_id = $1 "
    b"RETURNING (w.deprecated_at IS NOT NULL) AS is_deprecated;",
)


@dataclass(frozen=True, slots=True)
class Shared:
    """A queue that may have others' messages: they are read with ours, and left until they are visible again."""

    queue: str
    first_run_id: str

    def only_ours(self) -> bytes:
        """What a read is held to; not that of a flow which is primed on."""
        ours = self.first_run_id[:RUN_ID_PREFIX]
        return f" where $1 <> '{self.queue}' or starts_with(message ->> 'run_id', '{ours}')".encode()


def _given(statement: Statement, arguments: bytes) -> Statement:
    """With more arguments of the call that it is about."""
    return Statement(statement.name, statement.sql % arguments, statement.types)


def _of_failing(failing: Failing | None) -> bytes:
    if failing is None:
        return b""
    return b", max_attempts => %d, base_delay => %d" % (failing.max_attempts, failing.base_delay_seconds)


def statements_of(order: WorkerOrder) -> tuple[Statement, ...]:
    """Every statement that a process with this order prepares."""
    options, work = order.options, order.work
    many = options.creation is Mode.BATCH
    return statements(
        options.creation,
        options.completion,
        options.empty_poll,
        work.failing,
        arguments_of(work, order.slug_prefix, "u.f" if many else "$1", "u.s" if many else "$2"),
        None if work.deployed is None else Shared(work.deployed, str(uuid.UUID(bytes=order.first_run_id))),
    )


def texts_of(order: WorkerOrder) -> tuple[tuple[bytes, bytes, tuple[int, ...]], ...]:
    """What each of them is sent as where a pooler keeps nothing prepared; empty where they are prepared."""
    if order.pooler is None or order.pooler.prepares:
        return ()
    return tuple((statement.name, statement.sql, statement.types) for statement in statements_of(order))


def statements(
    creation: Mode,
    completion: Mode,
    empty_poll: EmptyPoll,
    failing: Failing | None = None,
    defined: Arguments | None = None,
    shared: Shared | None = None,
) -> tuple[Statement, ...]:
    """Every statement that a worker prepares for these modes.

    Args:
        defined: what flows and steps are created with, where that is not pgflow's own.
        shared: a queue that is others' too.
    """
    many = creation is Mode.BATCH
    arguments = defined or Arguments(_of_failing(failing), b"")
    read = _READ_WITH_POLL if empty_poll.kind == "read-with-poll" else _READ
    if shared is not None:
        read = Statement(read.name, read.sql + shared.only_ours(), read.types)
    failures = () if failing is None else (_FAIL_MANY if completion is Mode.BATCH else _FAIL_ONE,)
    return (
        PING,
        _given(_CREATE_FLOW_MANY if many else _CREATE_FLOW_ONE, arguments.of_flow),
        _given(_ADD_STEP_MANY if many else _ADD_STEP_ONE, arguments.of_step),
        _START_FLOW_MANY if many else _START_FLOW_ONE,
        read,
        _START_TASKS,
        _COMPLETE_MANY if completion is Mode.BATCH else _COMPLETE_ONE,
        *failures,
    )
