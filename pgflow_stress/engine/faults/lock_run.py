"""The row of a run in progress locked by a stranger: whoever completes a task of it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.faults.base import PROOF_SECONDS, Blow, Fault, Ground, Missed

_LASTS_SECONDS = 2.0
_PATIENCE_SECONDS = 0.5
# The first in order is the one whose tasks are polled now. It is waited for as a worker waits: the lock is had in turn.
_FIRST = """
select run_id from pgflow.runs
where starts_with(flow_slug, %(flows)s) and status = 'started' and run_id <> all(%(tried)s) order by run_id limit 1
"""
_LOCK = "select run_id from pgflow.runs where run_id = %(run)s and status = 'started' for update"
_WAITING = "select pid from pg_stat_activity where %(me)s = any(pg_blocking_pids(pid))"


def _strike(ground: Ground, blow: Blow) -> None:
    ground.a_worker()
    seconds = blow.strike.spec.lasts_seconds or _LASTS_SECONDS
    with ground.connect() as locking, ground.connect() as looking:
        me = {"me": locking.info.backend_pid}
        waiting: set[int] = set()

        def blocked() -> bool:
            waiting.update(pid for (pid,) in looking.execute(_WAITING, me).fetchall())
            return bool(waiting)

        run_id = _lock_what_is_wanted(ground, blow, locking, blocked)
        blow.held(run_id=str(run_id), locked_by=me["me"], waited_for_at_once=bool(waiting))
        ground.hold(seconds)
        blocked()
        locking.execute("rollback")
    if not waiting:
        blow.held_ns = 0
        raise Missed("it was locked, and nobody came to wait for it")
    workers = {int(pid) for pid in ground.arena.words[:, Word.BACKEND_PID] if pid}
    blow.held(backends_waiting=sorted(waiting & workers))


def _lock_what_is_wanted(ground: Ground, blow: Blow, locking: Any, blocked: Callable[[], bool]) -> Any:
    """A run that somebody comes to wait for; the first one's message may be one that nobody can see for now."""
    deadline = time.monotonic() + PROOF_SECONDS
    tried: list[Any] = []
    while True:
        tried.append(_lock(ground, blow, locking, tried))
        if ground.until(blocked, _PATIENCE_SECONDS) or time.monotonic() > deadline or ground.over.is_set():
            return tried[-1]
        locking.execute("rollback")


def _lock(ground: Ground, blow: Blow, locking: Any, tried: Sequence[Any]) -> Any:
    found: list[Any] = []

    def locked() -> bool:
        first = locking.execute(_FIRST, {"flows": ground.slug_prefix + "f", "tried": list(tried)}).fetchone()
        locking.execute("begin")
        if first is not None and locking.execute(_LOCK, {"run": first[0]}).fetchone() is not None:
            found.append(first[0])
            return True
        locking.execute("rollback")
        return False

    if not ground.until(locked, PROOF_SECONDS):
        raise Missed("there was no run in progress to be locked")
    blow.struck(f"run {found[0]}")
    return found[0]


LOCK_RUN = Fault(
    "lock-run", "the row of a run in progress locked by another session, 2 s by default", _strike,
    lasts_seconds=_LASTS_SECONDS, any_model=True,
)  # fmt: skip
