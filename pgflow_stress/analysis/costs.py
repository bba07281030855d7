"""What a task costs, out of measured repetitions: each cost with an interval that a new measurement should lie in.

A group is the repetitions of one result. Its interval is one for a new repetition's value, not for the mean; over
several groups, measured under loads that differ, the whole is the envelope: costs depend on how full polls are, and a
plan cannot know how full they will be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit

from pgflow_stress.analysis.statistics import LEVEL, logs
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_SECOND

_BLOCK_BYTES = 8192
_CLIENT_READ = "Client:ClientRead"


@dataclass(frozen=True, slots=True)
class Cost:
    """One cost: the geometric mean of the groups' geometric means, and the envelope of their intervals.

    Nones with a reason where it was not measured; an interval that is None where no group has two repetitions.
    """

    name: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    n: int = 0  # repetitions, of all groups
    groups: int = 0
    reason: str | None = None


def cost(name: str, groups: Sequence[Sequence[float | None]]) -> Cost:
    """A cost out of groups of repetitions' values, each above 0.

    Args:
        groups: a value a counted repetition; None where it was not measured.
    Source: the prediction interval of one more observation, mean ± t s sqrt(1 + 1/n), on logs (Hahn & Meeker 1991,
        "Statistical Intervals", ch. 4).
    """
    present = [[value for value in group if value is not None] for group in groups]
    measured = [values for values in present if values]
    if not measured:
        return Cost(name, reason="not measured")
    if any(not math.isfinite(value) or value <= 0 for values in measured for value in values):
        return Cost(name, reason="a value that is not above 0 was measured")
    means = [math.fsum(map(math.log, values)) / len(values) for values in measured]
    n = sum(map(len, measured))
    estimate = math.exp(math.fsum(means) / len(means))
    ends = [interval for values in measured if (interval := next_value(values)) is not None]
    if len(ends) < len(measured):
        return Cost(name, estimate, None, n, len(measured), "an interval takes two repetitions of each result")
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return Cost(name, estimate, (low, high), n, len(measured))


def next_value(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Where one more value should lie; None of fewer than two."""
    if len(values) < 2:
        return None
    array = logs(values)
    n = len(array)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * float(array.std(ddof=1)) * math.sqrt(1 + 1 / n)
    if half > 300:  # no finite number: nothing is known
        return None
    return math.exp(float(array.mean()) - half), math.exp(float(array.mean()) + half)


def costs_of(repetition: Repetition) -> dict[str, float | None]:
    """What a repetition says a task costs, by name; None where it does not."""
    server, client = repetition.server, repetition.client
    return {
        "server_cpu_ns": _number(server.get("cpu_ns_per_task")),
        "client_cpu_ns": _number(client.get("cpu_ns_per_task")),
        "wal_bytes": _number(server.get("wal_bytes_per_task")),
        "xids": _number(server.get("xids_per_task")),
        "growth_bytes": growth_bytes_per_task(server),
        "executing_ns": executing_ns_per_task(repetition),
        "hold_ns": _number((repetition.telemetry.get("serialisation") or {}).get("hold_ns_per_task")),
    }


def growth_bytes_per_task(server: Mapping[str, Any]) -> float | None:
    """By how much relations grew, a task: pg_stat_io's extends by client backends; None where it was not read."""
    io = (server.get("deltas_per_task") or {}).get("io")
    if not isinstance(io, Mapping):
        return None
    total = 0.0
    for name, columns in io.items():
        if name.startswith("client backend, relation,"):
            total += columns.get("extend_bytes", columns.get("extends", 0) * _BLOCK_BYTES)
    return total or None


def executing_ns_per_task(repetition: Repetition) -> float | None:
    """How long a task has a backend execute: backends of workers that do not wait for their client, over the rate."""
    process = repetition.phases.get("process")
    of_workers = (repetition.server.get("wait_events") or {}).get("worker")
    workers = len((repetition.client.get("by_worker") or {}).get("cpu_share") or ())
    if process is None or not process.per_second or not of_workers or not workers:
        return None
    executing = workers * (1.0 - (_number(of_workers.get(_CLIENT_READ)) or 0.0))
    return executing / process.per_second * NS_PER_SECOND if executing > 0 else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
