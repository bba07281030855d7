"""The time series of completed tasks that a repetition carries, and its steady part. Reads client["series"]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeGuard

from pgflow_stress.core.result import Repetition


@dataclass(frozen=True, slots=True)
class Completions:
    """Completed tasks in bins of equal length over the process phase, all of them whole."""

    bin_seconds: float
    completed: tuple[int, ...]
    first_idle_seconds: float | None  # from process.from, before its end; None where no worker was idle before it
    at_once: float = 1.0  # tasks that one statement completes: their count in a bin is off by up to one statement's

    @property
    def seconds(self) -> float:
        """Of the whole phase."""
        return self.bin_seconds * len(self.completed)

    @property
    def tail_seconds(self) -> float:
        """From the first idle worker to the end."""
        return 0.0 if self.first_idle_seconds is None else self.seconds - self.first_idle_seconds

    def before_idle(self) -> tuple[int, ...]:
        """The bins that ended before a worker was idle."""
        if self.first_idle_seconds is None:
            return self.completed
        return self.completed[: math.floor(self.first_idle_seconds / self.bin_seconds + 1e-9)]

    def steady(self) -> tuple[int, ...]:
        """Those between the first completion and the first idle worker.

        The first completion is answered a whole cycle after the first poll is sent: the time until then, and the bin
        that it falls into, are of no rate.
        """
        bins = self.before_idle()
        first = next((place for place, count in enumerate(bins) if count), len(bins))
        return bins[first + 1 :]


def completions_of(repetition: Repetition) -> Completions | None:
    """The series; None where there is none, or only a part of it."""
    series = repetition.client.get("series")
    if not isinstance(series, dict) or not series.get("complete"):
        return None
    bins, width, idle = series.get("completed"), series.get("bin_seconds"), series.get("first_idle_seconds")
    if not (isinstance(bins, list | tuple) and bins and all(_is_number(count) for count in bins)):
        return None
    if not (_is_number(width) and width > 0):
        return None
    first_idle_seconds = float(idle) if _is_number(idle) and 0 < idle < width * len(bins) else None
    return Completions(float(width), tuple(map(int, bins)), first_idle_seconds, _at_once(repetition))


def _at_once(repetition: Repetition) -> float:
    process = repetition.phases.get("process")
    samples = process.latency_ns.samples if process else 0
    return max(1.0, process.count / samples) if process and samples else 1.0


def steady_rate(repetition: Repetition) -> tuple[float, float] | None:
    """(tasks a second, seconds) from the first poll to the first idle worker; None where none was idle."""
    found = completions_of(repetition)
    if found is None or found.first_idle_seconds is None or not (bins := found.before_idle()):
        return None
    seconds = len(bins) * found.bin_seconds
    return sum(bins) / seconds, seconds


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
