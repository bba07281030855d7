"""Which of the job's backends are executing, and which of those are held up: for `profile` alone.

A wait event lasts until its backend runs again: what it waited for may long be there, and only a core is missing. So
the kernel's state is read with it, in the same statement: R is on a core or waiting for one, whatever the event says.
"""

from __future__ import annotations

from collections import Counter

import psycopg

from pgflow_stress.core.arena import Header, Word
from pgflow_stress.engine.orders import State
from pgflow_stress.engine.probes.base import Means, Quiet, Unseen

METRIC = "executing_samples_total"
RUNNABLE, BLOCKED, UNKNOWN = "runnable", "blocked", "unknown"
_ROLES = ("worker", "starter")

# The kernel's state, or null where it cannot be read.
_LOOK = """
select a.pid, a.state = 'active', coalesce(a.wait_event_type || ':' || a.wait_event, 'CPU'), {kernel}
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
        self._look = _LOOK.format(kernel="null")
        own = _LOOK.format(kernel=_KERNEL)
        try:
            rows = means.connection.execute(own.encode(), ([means.connection.info.backend_pid],)).fetchall()
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
            return
        regions = {}
        for region in means.regions():
            backend = int(arena.words[region, Word.BACKEND_PID])
            if backend and means.of_region(region)[0] in _ROLES:
                regions[backend] = region
        rows = means.connection.execute(self._look.encode(), (list(regions),)).fetchall()
        for pid, executing, event, kernel in rows:
            words = arena.words[regions[pid]]
            at_work = words[Word.PROCESS_FROM_NS] and words[Word.STATE] < State.PROCESSED
            state = UNKNOWN if kernel is None else RUNNABLE if kernel == "R" else BLOCKED
            phase, doing = "process" if at_work else "other", "active" if executing else "idle"
            self._samples[f"{phase} {doing} {state} {event}"] += 1

    def tick(self) -> None:
        """The counts so far."""
        for subject, count in self._samples.items():
            self._means.book.put("worker", subject, METRIC, count, "samples")
