"""A soak: a load that lasts, told window by window, and the jobs of retention that run meanwhile.

`--prune 'SQL'@10m`: that statement, as it is, ten minutes after the process phase began and every ten minutes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pgflow_stress.core.durations import parse_duration
from pgflow_stress.core.errors import UsageFault

WINDOWS = 60  # of one soak, where none is shorter than the least
LEAST_WINDOW_SECONDS = 1.0
LEAST_SECONDS = 20.0  # of a soak: with fewer windows no slope is worth telling
MOST_ROWS = 1_000_000  # of timings over all processes; of more one second in so many is kept
MOST_PRUNES = 8
_LEAST_EVERY_SECONDS = 1.0
_HOW = "give --prune 'SQL'@10m: a statement, and every how long it is to run"


@dataclass(frozen=True, slots=True)
class PruneSpec:
    """One --prune."""

    text: str
    sql: str
    every_seconds: float


def parse_prune(text: str) -> PruneSpec:
    """Read one --prune; what comes before the last @ is the statement.

    Raises:
        UsageFault: it is none.
    """
    statement, at, every = text.strip().rpartition("@")
    sql = statement.strip()
    if len(sql) > 1 and sql[0] == sql[-1] and sql[0] in "'\"":  # quoted once more than the shell takes off
        sql = sql[1:-1].strip()
    try:
        seconds = parse_duration(every.strip())
    except ValueError:
        seconds = -1.0
    if not at or not sql or seconds < _LEAST_EVERY_SECONDS:
        raise UsageFault(f"--prune {text!r}: {_HOW}, at least {_LEAST_EVERY_SECONDS:g} s")
    return PruneSpec(text.strip(), sql, seconds)


def window_seconds(duration_seconds: float) -> float:
    """How long a window of a soak is."""
    return max(LEAST_WINDOW_SECONDS, duration_seconds / WINDOWS)


def keep_one_in(rows: int) -> int:
    """Of how many seconds one has its timings kept, where so many rows would be written."""
    return max(1, math.ceil(rows / MOST_ROWS))
