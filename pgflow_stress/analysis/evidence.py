"""What the rules of the verdict look at and answer with: evidence, limits, findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json, Metric, Repetition

TIMED = frozenset({"rate", "latency", "duration"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the rules; give others to `judge` to ask for more or less."""

    min_phase_seconds: float = 10.0
    min_cycles_per_worker: int = 200  # samples of the process latency
    littles_law_tolerance: float = 0.05
    min_littles_law_samples: int = 200  # fewer say nothing within the tolerance
    max_stdev_of_mean: float = 0.10  # pyperf's check
    min_repetitions: int = 3
    max_pending_seconds: float = 1.0  # after the window's end, until the observer has what was emitted in it
    min_pending_growth: float = 1.1  # last quarter of the window to its first half: less is a burst being worked off
    max_late_share: float = 0.05  # of the mean response time, that starters sent late by their own fault
    min_pending_events: int = 100  # fewer are a statement or two under way


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rules look at."""

    parameters: Json
    repetitions: Sequence[Repetition]
    environment: Json
    summary: Mapping[str, Metric]
    limits: Limits

    @property
    def counted(self) -> list[Repetition]:
        """The repetitions of the summary."""
        return [repetition for repetition in self.repetitions if repetition.counted]

    def timed_metrics(self, *phases: str) -> frozenset[str]:
        """Names in the summary of the rates, latencies and durations of these phases."""
        described = map(describe, self.summary)
        return frozenset(info.name for info in described if info.phase in phases and info.kind in TIMED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line; the metrics that it invalidates, none for a note."""

    text: str
    metrics: frozenset[str] = frozenset()
    too_short: bool = False  # more of the same would mend it: a quick look


Rule = Callable[[Evidence], Iterable[Finding]]
