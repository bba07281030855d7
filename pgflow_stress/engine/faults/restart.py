"""The embedded server stopped and started again: in order (fast), or as by a crash (immediate)."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.arena import Word
from pgflow_stress.core.errors import StressError
from pgflow_stress.engine.faults.base import Blow, Fault, Ground, Missed
from pgflow_stress.engine.faults.kill_backend import see_reconnects

if TYPE_CHECKING:
    from pgflow_stress.target.base import Restart

_STARTED = "select extract(epoch from pg_postmaster_start_time())::float8"
_DURABILITY = """
select current_setting('synchronous_commit'), current_setting('fsync'),
    (select setting::int from pg_settings where name = 'wal_writer_delay')
"""


def _strike(ground: Ground, blow: Blow, *, immediate: bool) -> None:
    if ground.restart is None:
        raise Missed("the server is not ours to be restarted")
    ground.a_worker()
    with ground.kept_at_work() if immediate and ground.connects_again else contextlib.nullcontext():
        _restart(ground, blow, ground.restart, immediate=immediate)


def _restart(ground: Ground, blow: Blow, restart: Restart, *, immediate: bool) -> None:
    ground.a_worker()
    regions = ground.workers()
    with ground.connect() as connection:
        before = _one(connection, _STARTED)[0]
        synchronous, fsync, delay_ms = _one(connection, _DURABILITY)
        ground.plan(blow, _backends(ground))

    def gone() -> None:
        # Again: whoever got a connection meanwhile has lost it as well.
        backends = _backends(ground)
        ground.plan(blow, backends)
        blow.held(backends_gone=sorted(backends))

    blow.struck("server")
    try:
        done = restart(immediate=immediate, gone=gone)
    except StressError as fault:
        raise Missed(str(fault)) from None
    with ground.connect() as connection:
        after = _one(connection, _STARTED)[0]
    if after <= before or done.before == done.after:
        blow.held_ns = 0
        raise Missed("the server's start time did not change")
    blow.held(
        postmaster_before=done.before,
        postmaster_after=done.after,
        started_before_unix=before,
        started_after_unix=after,
        recovered_from_crash=done.recovered,
        synchronous_commit=synchronous,
        fsync=fsync,
        wal_writer_delay_ms=delay_ms,
    )
    if immediate and not done.recovered:
        blow.held_ns = 0
        raise Missed("the server had shut down in order: there was nothing to recover from")
    see_reconnects(ground, blow, regions)


def _backends(ground: Ground) -> set[int]:
    return {int(pid) for pid in ground.arena.words[:, Word.BACKEND_PID] if pid}


def _one(connection: Any, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(query).fetchone()
    return row


RESTART = Fault(
    "restart", "the embedded server shut down (fast) and started again", partial(_strike, immediate=False),
    own_server=True, cuts_all=True,
)  # fmt: skip
RESTART_IMMEDIATE = Fault(
    "restart-immediate", "the embedded server crashed (immediate shutdown), started and recovered",
    partial(_strike, immediate=True), own_server=True, cuts_all=True,
)  # fmt: skip
