"""What backends wait for, sampled several times a tick: there is no counter of it, only the moment.

A sample counts each backend once, under what it waits for ("Lock:transactionid") or under CPU where it waits for
nothing. Of a worker only the samples between its first and its last poll count: before and after it waits for us.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pgflow_stress.core.arena import Header, Word
from pgflow_stress.core.telemetry import SamplerWord
from pgflow_stress.engine.orders import State
from pgflow_stress.engine.probes.base import Means, Quiet
from pgflow_stress.engine.server_processes import find_postmaster
from pgflow_stress.target.pooler import backend_of

CPU = "CPU"
OTHER = "other"
RUNS = "pgflow.runs"
BACKEND_OF = "backend of "
_ROLES = ("worker", "starter", "observer")
_SESSIONS = ("client backend", "walsender", "parallel worker", None)  # None: not for our eyes
_OURS = "pgflow-stress: "
_BESIDE = ("coordinator", "plans")  # idle while it is measured
_SHARED = " of "  # in the name of backends that a pooler shares
_LOCK = "Lock"

# Whoever waits for a row holds, or waits for, the heavyweight lock on that tuple: it names the table. Only who has
# followed a row to its newest version waits for the transaction that wrote it, and for nothing that names a table. In
# complete_task that is the run's row: it is locked first, and all that is locked after it is of that run alone.
LOCKED_TABLE = f"""
case when a.wait_event_type = 'Lock' then coalesce((
    select n.nspname || '.' || c.relname from pg_locks l
    join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    where l.locktype = 'tuple' and l.pid = a.pid limit 1
), case when a.wait_event = 'transactionid' and position('complete_task' in a.query) > 0 then '{RUNS}' end) end
"""
# In one statement: in a second one whoever waited would wait for something else.
_ACTIVITY = f"""
select pid, datname = current_database(), backend_type, application_name, state, wait_event_type, wait_event,
       state = 'active' and position('complete_task' in query) > 0, {LOCKED_TABLE}
from pg_stat_activity a where pid <> pg_backend_pid()
"""
_BLOCKERS = "select w.pid, b.pid from unnest(%s::int[]) as w(pid), unnest(pg_blocking_pids(w.pid)) as b(pid)"


class Activity(Quiet):
    """Reads pg_stat_activity at each beat, and pg_locks of those who wait for a lock."""

    def __init__(self, means: Means) -> None:
        """Finds the server's first process, where it is on this host."""
        self._means = means
        self._waits: Counter[tuple[str, str]] = Counter()
        self._locks: Counter[tuple[str, str]] = Counter()
        self._samples: Counter[str] = Counter()  # by role
        self._completing = 0
        self._states: Counter[str] = Counter()
        self._blocked: Counter[tuple[str, str]] = Counter()
        self._last_waiters: dict[int, str] = {}
        means.postmaster = find_postmaster(backend_of(means.connection))
        (sees_all, self._most_connections), *_ = means.connection.execute(
            "select pg_has_role(current_user, 'pg_read_all_stats', 'usage'), current_setting('max_connections')::int"
        ).fetchall()
        if not sees_all:
            means.book.unseen("activity: what other roles' backends do: needs pg_monitor (or pg_read_all_stats)")

    def begin(self) -> None:
        """Learn who is who."""
        self._look()

    def beat(self) -> None:
        """One sample."""
        arena = self._means.arena
        rows = self._look()
        if not State.CREATED <= arena.header[Header.PHASE] <= State.PROCESSED:
            return
        arena.sampler[SamplerWord.BEATS] += 1
        processing = bool(arena.words[:, Word.PROCESS_FROM_NS].any())
        arena.sampler[SamplerWord.TASK_BEATS] += processing
        counted = self._counted(rows, processing)
        waiters: dict[int, str] = {}
        holders = 0
        for pid, _ours, _type, _name, _state, kind, event, completing, table in rows:
            role = counted.get(pid)
            if role is None:
                continue
            self._samples[role] += 1
            self._waits[(role, f"{kind}:{event}" if kind else CPU)] += 1
            if kind == _LOCK:
                waiters[pid] = role
                self._locks[(role, table or "not a row")] += 1
            elif completing and role == "worker":
                holders += 1
        self._completing += min(holders, arena.size.runs)  # a run's row has one holder, whoever is on the way to it
        self._last_waiters = waiters

    def _look(self) -> list[tuple[Any, ...]]:
        means = self._means
        rows = means.connection.execute(_ACTIVITY).fetchall()
        means.backends = {row[0]: _what_for(row[0], row[2], row[3], row[1]) for row in rows}
        means.backends[means.backend] = f"{BACKEND_OF}sampler"
        self._states = Counter(row[4] or "unknown" for row in rows if row[2] in ("client backend", None))
        return rows

    def _counted(self, rows: list[tuple[Any, ...]], processing: bool) -> dict[int, str]:
        """Backends whose sample counts, by role: by the number that our processes told, else (pooler) by name."""
        means = self._means
        told, states = (means.arena.words[:, word].tolist() for word in (Word.BACKEND_PID, Word.STATE))
        known = {told[region]: (means.of_region(region)[0], states[region]) for region in means.regions()}
        found = {}
        for pid, ours, kind, name, state_of_backend, *_ in rows:
            if kind not in _SESSIONS or (state_of_backend == "idle" and _SHARED in (name or "")):
                continue  # a shared backend that is idle is nobody's
            named = (name or "").removeprefix(_OURS).partition(" ")[0] if ours else OTHER
            role, state = known.get(pid, (named if named in _ROLES else OTHER, State.BORN))
            at_work = role != "worker" or (processing and state < State.PROCESSED)
            if at_work and named not in _BESIDE:
                found[pid] = role
        return found

    def tick(self) -> None:
        """The counts so far."""
        put = self._means.book.put
        for role, count in self._samples.items():
            put(role, "all", "samples_total", count, "samples")
        for (role, event), count in self._waits.items():
            put(role, event, "wait_samples_total", count, "samples")
        for (role, table), count in self._locks.items():
            put(role, table, "lock_wait_samples_total", count, "samples")
        put("worker", "complete_task", "completing_samples_total", self._completing, "samples")
        for state, count in self._states.items():
            put("postgres", state, "connections", count, "connections")
        put("postgres", "max_connections", "connections", self._most_connections, "connections")
        if self._means.full:
            self._name_blockers()

    def _name_blockers(self) -> None:
        """Who holds up whom: it looks through the lock table under all its locks, so only in full and once a tick."""
        waiters = self._last_waiters
        if waiters:
            pairs = self._means.connection.execute(_BLOCKERS, (list(waiters),)).fetchall()
            for pid, blocker in pairs:
                self._blocked[(waiters[pid], self._means.backends.get(blocker, OTHER))] += 1
        for (role, blocker), count in self._blocked.items():
            self._means.book.put(role, blocker, "blocked_by_total", count, "samples")


def _what_for(pid: int, kind: str | None, name: str | None, ours: bool | None) -> str:
    """A backend's subject: "backend of worker 0", "backend of pooler 4711", "checkpointer", "backend, other"."""
    if name and ours and name.startswith(_OURS):
        if _SHARED in name:
            return f"{BACKEND_OF}pooler {pid}"
        return f"{BACKEND_OF}{name.removeprefix(_OURS)}"
    return kind if kind and kind != "client backend" else f"backend, {OTHER}"
