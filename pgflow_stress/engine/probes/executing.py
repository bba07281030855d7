"""Which of the job's backends are executing, and which of those are held up: for `profile` alone.

A wait event lasts until its backend runs again: what it waited for may long be there, and only a core is missing. So
the kernel's state is read with it, in the same statement: R is on a core or waiting for one, whatever the event says.
"""

from __future__ import annotations

from collections import Counter

import psycopg

from pgflow_stress.core.arena import Header, Word
from pgflow_stress.engine.orders import State
from pgflow_stress.engine.probes.activity import LOCKED_TABLE
from pgflow_stress.engine.probes.base import Means, Quiet, Unseen
from pgflow_stress.engine.vitals import backends_of
from pgflow_stress.target.pooler import backend_of
from pgflow_stress_hot.clock import monotonic_ns

METRIC = "executing_samples_total"
TIME_METRIC = "executing_total"
WORKERS_METRIC = "workers_served_total"
RUNNABLE, BLOCKED, UNKNOWN = "runnable", "blocked", "unknown"
ROW_OF = "Lock:row of "
_ROLES = ("worker", "starter")

# The kernel's state, or null where it cannot be read.
_LOOK = f"""
select a.pid, a.state = 'active', coalesce(a.wait_event_type || ':' || a.wait_event, 'CPU'), {{kernel}}, {LOCKED_TABLE}
from unnest(%s::int[]) as p(pid), pg_stat_get_activity(p.pid) as a
"""
_KERNEL = "substring(pg_read_file('/proc/' || a.pid || '/stat', 0, 400, true) from '\\) (\\w) ')"


class Executing(Quiet):
    """A sample a beat of each backend of a worker or starter: executing or not, its event, its state."""

    def __init__(self, means: Means) -> None:
        """Finds out whether the kernel's state can be read."""
        if not means.order.profiled:
            raise Unseen("")
        self._means = means
        self._samples: Counter[str] = Counter()
        self._times: Counter[str] = Counter()  # ns: a sample stands for the time since the last, however late it comes
        self._workers: Counter[str] = Counter()  # ns of workers at work, with a backend that executes or without
        self._last_ns = 0
        self._look = _LOOK.format(kernel="null")
        own = _LOOK.format(kernel=_KERNEL)
        try:
            rows = means.connection.execute(own.encode(), ([backend_of(means.connection)],)).fetchall()
        except psycopg.Error as error:
            rows = []
            reason = str(error).strip().splitlines()[0]
            means.book.unseen(f"waits: how long a backend that waited was only without a core: {reason}")
        if rows and rows[0][3]:
            self._look = own

    def beat(self) -> None:
        """One sample."""
        means, arena = self._means, self._means.arena
        if not State.CREATED <= arena.header[Header.PHASE] <= State.PROCESSED:
            self._last_ns = 0
            return
        ours = [region for region in means.regions() if means.of_region(region)[0] in _ROLES]
        regions = {backend: region for region in ours for backend in backends_of(arena, region)}
        rows = means.connection.execute(self._look.encode(), (list(regions),)).fetchall()
        now_ns = monotonic_ns()
        passed_ns, self._last_ns = now_ns - (self._last_ns or now_ns), now_ns
        served = {region: False for region in ours if self._at_work(region)}  # whether one of its backends executes
        for pid, executing, event, kernel, table in rows:
            region = regions[pid]
            state = UNKNOWN if kernel is None else RUNNABLE if kernel == "R" else BLOCKED
            phase, doing = "process" if region in served else "other", "active" if executing else "idle"
            key = f"{phase} {doing} {state} {ROW_OF + table if table else event}"
            self._samples[key] += 1
            self._times[key] += passed_ns
            if region in served:
                served[region] |= executing
        for executes in served.values():
            self._workers["served" if executes else "not served"] += passed_ns

    def _at_work(self, region: int) -> bool:
        words = self._means.arena.words[region]
        return bool(words[Word.PROCESS_FROM_NS]) and words[Word.STATE] < State.PROCESSED

    def tick(self) -> None:
        """The counts so far."""
        for subject, count in self._samples.items():
            self._means.book.put("worker", subject, METRIC, count, "samples")
            self._means.book.put("worker", subject, TIME_METRIC, self._times[subject], "ns")
        for subject, time_ns in self._workers.items():
            self._means.book.put("worker", subject, WORKERS_METRIC, time_ns, "ns")
