"""A worker's backend, or all of ours, terminated: they connect again and settle what was in doubt."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.faults.base import PROOF_SECONDS, RECOVERY_SECONDS, Blow, Fault, Ground, Missed

_TERMINATE = "select pid, pg_terminate_backend(pid) from unnest(%(pids)s::int[]) as t(pid)"
_LEFT = "select pid from pg_stat_activity where pid = any(%(pids)s)"
_COORDINATOR = """
select pid from pg_stat_activity where datname = current_database() and application_name = 'pgflow-stress: coordinator'
"""


def _kill_one(ground: Ground, blow: Blow) -> None:
    region = ground.a_worker()
    slot, backend = ground.slot_of(region), ground.word(region, Word.BACKEND_PID)
    with ground.connect() as connection:
        blow.struck(f"backend of worker {slot}", slot)
        terminate(ground, blow, connection, [backend])
    see_reconnects(ground, blow, [region])


def _kill_all(ground: Ground, blow: Blow) -> None:
    ground.a_worker()
    regions = ground.workers()
    backends = {int(pid) for pid in ground.arena.words[:, Word.BACKEND_PID] if pid}
    with ground.connect() as connection:
        backends |= {int(pid) for (pid,) in connection.execute(_COORDINATOR.encode()).fetchall()}
        blow.struck("every backend of ours")
        terminate(ground, blow, connection, sorted(backends))
    see_reconnects(ground, blow, regions)


def terminate(ground: Ground, blow: Blow, connection: Any, backends: Sequence[int]) -> None:
    """End these backends and see them gone.

    Raises:
        Missed: none was there, or one is still there.
    """
    ground.plan(blow, set(backends))
    told = [pid for pid, sent in connection.execute(_TERMINATE, {"pids": list(backends)}).fetchall() if sent]
    blow.planned -= set(told)  # they go by us, whatever else becomes of the strike
    left = [1]

    def gone() -> bool:
        left[:] = [pid for (pid,) in connection.execute(_LEFT, {"pids": told}).fetchall()]
        return not left

    if not told or not ground.until(gone, PROOF_SECONDS):
        raise Missed(f"{len(left) if told else 'no'} backend was there to be terminated, or is still there")
    blow.held(backends_gone=told)


def see_reconnects(ground: Ground, blow: Blow, regions: Sequence[int]) -> None:
    """Note the backends that the workers of these regions get instead, once they have them."""
    before = {region: ground.word(region, Word.BACKEND_PID) for region in regions}
    gone = set(blow.proof.get("backends_gone", before.values()))

    def new() -> dict[int, int]:
        now = {region: ground.word(region, Word.BACKEND_PID) for region in regions}
        return {region: pid for region, pid in now.items() if pid and pid not in gone}

    with contextlib.suppress(KeyError):
        ground.until(lambda: len(new()) == len(regions), RECOVERY_SECONDS)
    blow.held(backends_new=sorted(new().values()))


KILL_BACKEND = Fault("kill-backend", "pg_terminate_backend of a worker's; it connects again", _kill_one)
TERMINATE_ALL = Fault(
    "terminate-all", "pg_terminate_backend of all of ours at once; they connect again", _kill_all, cuts_all=True
)
