"""What this host's CPUs did while a window lasted: /proc/stat, read before and after."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.core.result import Json

_STAT = Path("/proc/stat")
_FIELDS = 8  # user nice system idle iowait irq softirq steal; what follows is in user and nice already
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_LEAST_TICKS = 100  # of 10 ms, over all CPUs: with fewer a share of one per cent cannot be seen


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Ticks since boot, over some CPUs."""

    total: int
    idle: int
    steal: int


def cpus_in_use(pin: Mapping[str, Sequence[int]]) -> set[int]:
    """CPUs that client and server run on, as far as that is known; none for all of the host's."""
    pinned = {cpu for role in ("worker", "postgres") for cpu in pin.get(role, ())}
    if pin.get("worker") and pin.get("postgres"):
        return pinned
    return set() if pin.get("coordinator") else os.sched_getaffinity(0) | pinned


def read_cpu(cpus: Collection[int] = (), stat: Path = _STAT) -> CpuReading | None:
    """Ticks of these CPUs, or of all where none is named; None where they cannot be read."""
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    wanted = {f"cpu{cpu}" for cpu in cpus} or {"cpu"}
    total = idle = steal = found = 0
    for line in lines:
        name, *fields = line.split()
        if name in wanted and len(fields) >= _FIELDS:
            ticks = [int(field) for field in fields[:_FIELDS]]
            total += sum(ticks)
            idle += ticks[_IDLE] + ticks[_IOWAIT]
            steal += ticks[_STEAL]
            found += 1
    return CpuReading(total, idle, steal) if found == len(wanted) else None


def cpu_shares(before: CpuReading | None, after: CpuReading | None) -> Json:
    """Shares of the time between two readings, as the result has them; None where it was too short or not read.

    Busy is all that was not idle. What was stolen is in it: it was wanted and not to be had.
    """
    if before is None or after is None or after.total - before.total < _LEAST_TICKS:
        return {"busy_share": None, "steal_share": None}
    total = after.total - before.total
    return {
        "busy_share": min(1.0, max(0.0, 1 - (after.idle - before.idle) / total)),
        "steal_share": max(0.0, (after.steal - before.steal) / total),
    }
