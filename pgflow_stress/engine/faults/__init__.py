"""The faults that `run --fault` knows: a file and a line each."""

from __future__ import annotations

from pgflow_stress.engine.faults.base import Fault
from pgflow_stress.engine.faults.cut import CUT, STALL
from pgflow_stress.engine.faults.deadlock import DEADLOCK_IN_BATCHES, DEADLOCK_IN_MAP
from pgflow_stress.engine.faults.exhaust import EXHAUST_CONNECTIONS
from pgflow_stress.engine.faults.kill_backend import KILL_BACKEND, TERMINATE_ALL
from pgflow_stress.engine.faults.kill_worker import KILL_WORKER
from pgflow_stress.engine.faults.lock_run import LOCK_RUN
from pgflow_stress.engine.faults.requeue import REQUEUE_STALLED
from pgflow_stress.engine.faults.restart import RESTART, RESTART_IMMEDIATE
from pgflow_stress.engine.faults.stop_worker import STOP_AND_ADOPT, STOP_TERMINATE_ADOPT, STOP_WORKER

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        KILL_WORKER,
        STOP_WORKER,
        STOP_AND_ADOPT,
        STOP_TERMINATE_ADOPT,
        KILL_BACKEND,
        TERMINATE_ALL,
        RESTART,
        RESTART_IMMEDIATE,
        LOCK_RUN,
        CUT,
        STALL,
        EXHAUST_CONNECTIONS,
        DEADLOCK_IN_MAP,
        DEADLOCK_IN_BATCHES,
        REQUEUE_STALLED,
    )
}

__all__ = ["FAULTS", "Fault"]
