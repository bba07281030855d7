"""The coordinator's own connection to the database under test: settles it, and sees to its workers' backends.

Idle while statements are being timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg.sql

from pgflow_stress.core.result import Json
from pgflow_stress.engine.chosen import Chosen
from pgflow_stress.engine.server_processes import find_postmaster, server_cpu_ns
from pgflow_stress.engine.work import Work, read_work
from pgflow_stress.target.pooler import backend_of

_MOST_STATEMENTS = 50
_AGAIN_SECONDS = 0.05
_CHECKPOINT_COUNTED_SECONDS = 0.5  # it is told as done a little before it is counted
_CHECKPOINTER_VERSION = 170000  # from it on the checkpointer has a view of its own

_OURS = """
(pid = any(%(pids)s)
    or %(shared)s::text <> '' and application_name = %(shared)s::text and datname = current_database())
"""
_NOT_STALLED = f"""
select exists (
    select from pg_stat_activity where {_OURS} and state = 'active' and wait_event_type is distinct from 'Lock'
)
"""
_TERMINATE = f"select pg_terminate_backend(pid) from pg_stat_activity where {_OURS}"
_ALIVE = """
select from pg_stat_activity where pid = %(pid)s
and (%(name)s::text = '' or application_name = %(name)s::text and state <> 'idle')
"""
# Of shared backends: the statements that a client's death may have left behind.
_AT_WORK = """
select pid, xact_start::text from pg_stat_activity
where application_name = %(shared)s and datname = current_database() and xact_start is not null
"""

_CHECKPOINTS = "select num_timed + num_requested from pg_stat_checkpointer"
_CHECKPOINTS_BEFORE_17 = "select checkpoints_timed + checkpoints_req from pg_stat_bgwriter"

_UPKEEP = """
select schemaname || '.' || relname, autovacuum_count, autoanalyze_count from pg_stat_user_tables
where schemaname in ('pgflow', 'pgmq', 'realtime') and autovacuum_count + autoanalyze_count > 0
"""

_QUEUES = psycopg.sql.SQL("select lower(w.flow_slug) from pgflow.flows w where {flows_w}")
_LATER = psycopg.sql.SQL("select from {table} m where m.vt > clock_timestamp() and {of_messages} limit 1")
_HAS_STATEMENTS = """
select from pg_extension, pg_settings where extname = 'pg_stat_statements' and name = 'shared_preload_libraries'
and 'pg_stat_statements' = any(string_to_array(replace(setting, ' ', ''), ','))
"""
_ANALYZE = "analyze pgflow.flows, pgflow.steps, pgflow.deps, pgflow.runs, pgflow.step_states, pgflow.step_tasks"


@dataclass(frozen=True, slots=True)
class ServerReading:
    """What the server had used so far; None where it cannot be read from here."""

    wal_bytes: int | None
    cpu_ns: int | None  # of all the server's processes, but for the coordinator's and the sampler's backends
    checkpoints: int | None = None  # begun
    autovacuums: Mapping[str, int] | None = None  # by table of pgflow's, pgmq's and realtime's, where there were any
    autoanalyzes: Mapping[str, int] | None = None
    work: Work | None = None


class Control:
    """One connection, opened again where it was lost."""

    def __init__(
        self,
        conninfo: str,
        patience_seconds: float = 0.0,
        hurried: Callable[[], bool] = lambda: False,
        shared: str = "",
    ) -> None:
        """Connect.

        Args:
            patience_seconds: how long a lost connection is tried to be had again, where losing it is expected.
            hurried: whether nothing more is to be waited for.
            shared: application_name of the workers' backends, where a pooler shares them.
        Raises:
            psycopg.Error: it cannot be reached.
        """
        self._conninfo = conninfo
        self._patience_seconds = patience_seconds
        self._hurried = hurried
        self.shared = shared
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection:
        name = "pgflow-stress: coordinator"
        return psycopg.connect(self._conninfo, autocommit=True, application_name=name, connect_timeout=5)

    def close(self) -> None:
        """Close it, whatever its state."""
        self._connection.close()

    def _rows(self, query: Any, **parameters: Any) -> list[tuple[Any, ...]]:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                return self.connection.execute(query, parameters or None).fetchall()
            except psycopg.OperationalError:
                lost = self._connection.closed or self._connection.broken
                if not lost or time.monotonic() >= deadline or self._hurried():
                    raise
                time.sleep(_AGAIN_SECONDS)

    @property
    def connection(self) -> psycopg.Connection:
        """For the audit, after the window."""
        if self._connection.closed or self._connection.broken:
            self._connection = self._connect()
        return self._connection

    def reachable(self) -> bool:
        """Whether the database answers."""
        try:
            return bool(self._rows("select 1"))
        except psycopg.Error:
            return False

    def settle(self) -> tuple[str, ...]:
        """Before each window, by a named rule: CHECKPOINT, and pg_stat_statements from zero where it is there.

        Nothing is analysed: planner statistics of nearly empty tables would change plans once the tables fill.

        Returns:
            What could not be done, for the result.
        """
        left = []
        counted = self._checkpoints()
        try:
            self._connection.execute("checkpoint")
            self._wait_for_count(counted)
        except psycopg.errors.InsufficientPrivilege:
            left.append("no CHECKPOINT before the window: missing privilege (pg_checkpoint)")
        if self.has_statements():
            try:
                self._connection.execute("select pg_stat_statements_reset()")
            except psycopg.errors.InsufficientPrivilege:
                left.append("pg_stat_statements not from zero: missing privilege (pg_stat_statements_reset)")
        return tuple(left)

    def _checkpoints(self) -> int:
        """Begun since the statistics were last reset."""
        version = self.connection.info.server_version
        return int(self._rows(_CHECKPOINTS if version >= _CHECKPOINTER_VERSION else _CHECKPOINTS_BEFORE_17)[0][0])

    def _wait_for_count(self, before: int) -> None:
        """Until our own checkpoint is in the server's count: else it would be counted into the window."""
        deadline = time.monotonic() + _CHECKPOINT_COUNTED_SECONDS
        while self._checkpoints() == before and time.monotonic() < deadline:
            time.sleep(0.001)

    def has_statements(self) -> bool:
        """Whether pg_stat_statements can be read here."""
        return bool(self._rows(_HAS_STATEMENTS))

    def statements(self) -> list[Json]:
        """The statements of this database since `settle`, costliest first."""
        rows = self._rows(
            "select s.query, s.calls, s.total_exec_time, s.rows, s.toplevel, s.wal_bytes::int8, "
            "s.shared_blks_hit + s.shared_blks_read from pg_stat_statements s "
            "join pg_database d on d.oid = s.dbid where d.datname = current_database() "
            "order by s.total_exec_time desc limit %(most)s",
            most=_MOST_STATEMENTS,
        )
        return [
            {
                "query": query,
                "calls": calls,
                "total_ns": round(total * 1e6),
                "rows": rows,
                "top_level": top_level,
                "wal_bytes": wal_bytes,
                "buffers": buffers,
            }
            for query, calls, total, rows, top_level, wal_bytes, buffers in rows
        ]

    def read_server(self, ours: Sequence[int] = ()) -> ServerReading:
        """What the whole server did so far: WAL, checkpoints, upkeep, and the CPU that it used where that can be seen.

        Args:
            ours: backends that are there to look at it, beside this connection's: theirs is not the server's cost.
        """
        wal = self._rows("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")[0][0]
        own = backend_of(self.connection)
        postmaster = find_postmaster(own)
        upkeep = self._rows(_UPKEEP)
        return ServerReading(
            wal_bytes=wal,
            cpu_ns=None if postmaster is None else server_cpu_ns(postmaster, {own, *ours}),
            checkpoints=self._checkpoints(),
            autovacuums={table: vacuums for table, vacuums, _ in upkeep if vacuums},
            autoanalyzes={table: analyzes for table, _, analyzes in upkeep if analyzes},
            work=None if self.shared else read_work(self.connection),
        )

    def mark(self, channel: str | None, text: str) -> None:
        """Send a text after all that was committed: into the log, or on a channel.

        Raises:
            psycopg.Error: the database does not answer.
        """
        if channel is None:
            self._rows("select pg_logical_emit_message(true, 'pgflow_stress', %(text)s)", text=text)
        else:
            self._rows("select pg_notify(%(channel)s, %(text)s)", channel=channel, text=text)

    def mark_topic(self, topic: str, number: int, *, private: bool) -> None:
        """Send a mark through realtime.send, after all that was committed.

        Raises:
            psycopg.Error: the database does not answer.
        """
        self._rows(
            "select realtime.send(jsonb_build_object('number', %(number)s::int), 'mark', %(topic)s, %(private)s)",
            number=number,
            topic=topic,
            private=private,
        )

    def make_durable(self) -> None:
        """Have all that was committed so far on the disk, where synchronous_commit=off leaves that for later."""
        with self.connection.transaction():
            self.connection.execute("set local synchronous_commit = on")
            # A commit waits for the log only where its transaction has written to it before.
            self.connection.execute("select pg_logical_emit_message(true, 'pgflow_stress: durable', '')")

    def analyze(self) -> None:
        """Have the planner learn what pgflow's tables hold by now, as autovacuum would; kept plans are made anew."""
        self.connection.execute(_ANALYZE)

    def alive(self, backend: int, name: str = "") -> bool:
        """Whether a backend is still in pg_stat_activity; of a pooler's, whether it still works for this client."""
        return bool(self._rows(_ALIVE, pid=backend, name=name))

    def at_work(self) -> frozenset[tuple[int, str]]:
        """The transactions of shared backends: whose they are cannot be told."""
        return frozenset(self._rows(_AT_WORK, shared=self.shared)) if self.shared else frozenset()

    def working(self, backends: Sequence[int]) -> bool:
        """Whether one of these backends executes a statement without waiting for a lock."""
        return bool(self._rows(_NOT_STALLED, pids=list(backends), shared=self.shared)[0][0])

    def due_later(self, chosen: Chosen) -> bool:
        """Whether a message of ours becomes visible only later: a retry, a start delay, a dead worker's poll."""
        parts = chosen.parts()
        for (queue,) in self._rows(_QUEUES.format(**parts)):
            table = psycopg.sql.Identifier("pgmq", f"q_{queue}")
            if self._rows(_LATER.format(table=table, **parts)):
                return True
        return False

    def terminate(self, backends: Sequence[int]) -> None:
        """End what these backends are doing, and them; likewise all that are shared."""
        self._rows(_TERMINATE, pids=list(backends), shared=self.shared)
