"""Completions that were acknowledged and lost: by id, and whether synchronous_commit=off and a crash explain each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.core.result import Check, Incident
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.engine.faults.base import Blow
from pgflow_stress.engine.places import Places
from pgflow_stress.engine.sizing import starter_regions
from pgflow_stress.scenario.workload import Workload

WITHIN = "completions acknowledged and lost: only what synchronous_commit=off may lose in a crash"
_FIRST_IDS = 3
_DELAYS = 3  # PostgreSQL's manual, 28.4: at most three times wal_writer_delay


def acknowledged_and_lost(arena: Arena, work: Workload, nonce: int) -> list[tuple[str, int]]:
    """(task by name, when its completion had been acknowledged), in the order of their finding."""
    places, steps = Places(work), work.step_offsets()
    found = []
    for region in range(starter_regions(arena.size).start):
        for rows in arena.read_rows(region):
            for row in rows[(rows["operation"] == Operation.TASK) & (rows["status"] == Status.LOST)]:
                place = (
                    int(places.first[row["run_index"]]) + int(steps[int(row["step_index"])]) + int(row["task_index"])
                )
                found.append((places.name(nonce, place), int(row["sent_ns"])))
    return found


def lost_incidents(lost: Sequence[tuple[str, int]]) -> list[Incident]:
    """One line of the result; none where nothing was lost."""
    if not lost:
        return []
    ids = ", ".join(name for name, _ in lost[:_FIRST_IDS]) + (", …" if len(lost) > _FIRST_IDS else "")
    return [Incident("acknowledged and lost", 0, f"{len(lost)} tasks", f"{ids}; done again")]


def check_losses(lost: Sequence[tuple[str, int]], blows: Sequence[Blow]) -> Check:
    """`expected`: how many the setting may have lost; `ids`: those beyond it, or of no crash that took hold."""
    windows = [
        (blow.struck_ns - _DELAYS * int(blow.proof["wal_writer_delay_ms"]) * NS_PER_MS, blow.held_ns)
        for blow in blows
        if blow.took_hold and blow.proof.get("recovered_from_crash") and blow.proof.get("synchronous_commit") == "off"
    ]
    stamps = np.array([at_ns for _, at_ns in lost], dtype=np.int64)
    within = np.zeros(len(stamps), dtype=bool)
    for from_ns, to_ns in windows:
        within |= (stamps >= from_ns) & (stamps <= to_ns)
    beyond = tuple(name for (name, _), held in zip(lost, within.tolist(), strict=True) if not held)
    return Check(WITHIN, not beyond, int(within.sum()), len(lost), beyond)
