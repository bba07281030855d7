"""Dead rows in pgflow's own tables and indexes, made before the window: runs of a flow of ours that are rolled back.

What was rolled back was never there for anybody else: no event is sent, no message is seen, nothing is to be removed
but space.
"""

from __future__ import annotations

import time

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference.base import PROOF_SECONDS, Act, Interference, Means, NotHeld, until, value

_TABLES = ("runs", "step_states", "step_tasks")
_MAPS, _TASKS_OF_A_MAP = 20, 1_000  # runs with many tasks: dead rows of step_tasks
_RUNS = 500  # with one: dead rows of runs and step_states
_RUNS_AT_ONCE = 100
_START = "select pgflow.start_flow(%s, to_jsonb(array(select generate_series(1, %s)))) from generate_series(1, %s)"
_DEAD = """
select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables where schemaname = 'pgflow' and relname = any(%s)
"""
_VACUUMED = """
select coalesce(sum(vacuum_count + autovacuum_count), 0)::bigint from pg_stat_user_tables
where schemaname = 'pgflow' and relname = any(%s)
"""
_SIZE = "select sum(pg_total_relation_size(('pgflow.' || name)::regclass))::bigint from unnest(%s::text[]) as name"
_FLUSHES = 150000  # from this version on a session can be told to hand over its statistics


class _Bloat(Act):
    def __init__(self, means: Means) -> None:
        self._means = means
        self._flow = f"{means.order.slug_prefix}bloat"

    def hold(self) -> Json:
        """The server counts the rows as dead, and its tables have grown."""
        began = time.monotonic()
        self._session = self._means.connect()
        dead, size = self._read(_DEAD), self._read(_SIZE)
        self._session.execute("select pgflow.create_flow(%s)", (self._flow,))
        self._session.execute("select pgflow.add_step(%s, 'one', step_type => 'map')", (self._flow,))
        for _ in range(_MAPS):
            self._start_and_roll_back(_TASKS_OF_A_MAP, 1)
        for _ in range(_RUNS // _RUNS_AT_ONCE):
            self._start_and_roll_back(1, _RUNS_AT_ONCE)
        made = _MAPS * (_TASKS_OF_A_MAP + 2) + _RUNS * 3
        self._hand_over_statistics()
        if until(lambda: self._read(_DEAD) - dead >= made // 2, PROOF_SECONDS) is None:
            raise NotHeld(f"the server counts {self._read(_DEAD) - dead:,} dead rows, {made:,} were made")
        self._dead, self._made, self._vacuumed = dead, made, self._read(_VACUUMED)
        self._grown = self._read(_SIZE) - size
        return {
            "rows_rolled_back": made,
            "rows_dead": self._read(_DEAD) - dead,
            "grown_bytes": self._grown,
            "made_in_seconds": round(time.monotonic() - began, 3),
        }

    def still(self) -> Json:
        """They are dead still, unless they were vacuumed meanwhile."""
        vacuumed = self._read(_VACUUMED) - self._vacuumed
        if vacuumed > 0:
            raise NotHeld(f"pgflow's tables were vacuumed {vacuumed} times before the end")
        return {"rows_dead_at_the_end": self._read(_DEAD) - self._dead}

    def release(self) -> Json:
        """Vacuum, in a database of ours; another's tables are left to its own vacuum."""
        if not self._means.order.own_database:
            return {"left_to_autovacuum": True}
        began = time.monotonic()
        for table in _TABLES:
            self._session.execute(f"vacuum pgflow.{table}".encode())
        self._hand_over_statistics()
        return {"vacuum_seconds": round(time.monotonic() - began, 4), "rows_dead": self._read(_DEAD)}

    def close(self) -> None:
        """The flow goes with all that is the repetition's."""
        self._means.close()

    def _start_and_roll_back(self, tasks: int, runs: int) -> None:
        self._session.execute("begin")
        self._session.execute(_START, (self._flow, tasks, runs))
        self._session.execute("rollback")

    def _hand_over_statistics(self) -> None:
        if self._session.info.server_version >= _FLUSHES:
            self._session.execute("select pg_stat_force_next_flush()")

    def _read(self, query: str) -> int:
        self._session.execute("select pg_stat_clear_snapshot()")
        return int(value(self._session, query, (list(_TABLES),)))


BLOAT = Interference("bloat", "some 20,000 dead rows in pgflow.runs, step_states and step_tasks", _Bloat, timed=False)
