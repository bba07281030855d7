"""kill -9 of a worker: it is replaced, and what it had claimed is adopted."""

from __future__ import annotations

import os
import signal

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.faults.base import PROOF_SECONDS, RECOVERY_SECONDS, Blow, Fault, Ground, Missed
from pgflow_stress.engine.orders import State
from pgflow_stress.target.postmaster import alive


def _strike(ground: Ground, blow: Blow) -> None:
    region = ground.a_worker()
    slot, pid = ground.slot_of(region), ground.word(region, Word.PID)
    ground.plan(blow, {pid})
    blow.struck(f"worker {slot}", slot)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        raise Missed("the worker had ended by itself") from None
    if not _gone(ground, region, pid):
        raise Missed(f"process {pid} still lives")
    blow.held(pid=pid, signal=int(signal.SIGKILL), tasks_in_hand=ground.word(region, Word.CLAIMED))
    if ground.until(lambda: _replacement(ground, slot, region) != 0, RECOVERY_SECONDS):
        blow.held(replaced_by_pid=_replacement(ground, slot, region))


def _gone(ground: Ground, region: int, pid: int) -> bool:
    # Not only a zombie: the nursery has collected it, and says by what it ended.
    return ground.until(lambda: ground.crew.signal_of(region) == signal.SIGKILL and not alive(pid), PROOF_SECONDS)


def _replacement(ground: Ground, slot: int, region: int) -> int:
    following = ground.crew.region_of(slot)
    ready = following != region and ground.word(following, Word.STATE) >= State.PRIMED
    return ground.word(following, Word.PID) if ready else 0


KILL_WORKER = Fault("kill-worker", "kill -9 of a worker; it is replaced", _strike, any_model=True)
