"""What the rules of the verdict look at and answer with: evidence, limits, findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json, Metric, Repetition

TIMED = frozenset({"rate", "latency", "duration"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the rules; give others to `judge`, or with --limit NAME=VALUE, to ask for more or less."""

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
    min_batches: int = 20  # of a window's steady part; with fewer bins nothing is said of its course
    max_priming_gap: float = 0.05  # first tenth to the rest, beyond the interval of the batches' means
    max_drift_per_window: float = 0.05  # the whole interval of the slope is beyond it: not stationary
    max_tail_share: float = 0.05  # of the process phase, from the first idle worker to the end
    max_checkpoints: int = 0  # begun inside a window
    max_autovacuums: int = 0  # of pgflow's, pgmq's and realtime's tables, ended inside a window
    max_autoanalyzes: int = 0  # likewise
    max_steal_share: float = 0.02  # of the host's CPU time
    exhausted_share: float = 0.95  # of the CPU time of cores that client and server share


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
    def co_located(self) -> bool:
        """Whether client and server share cores. See `co_located`."""
        return co_located(self.parameters, self.environment)

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
    comparable: bool = False  # what is measured alike has it alike, or a test weighs it: a comparison only says so


Rule = Callable[[Evidence], Iterable[Finding]]


def in_repetitions(indexes: Iterable[int]) -> str:
    """Where something was found."""
    return f"repetition {', '.join(map(str, indexes))}"


def co_located(parameters: Mapping[str, Any], environment: Mapping[str, Any]) -> bool:
    """Whether workers and server run on shared cores.

    `environment["co_located"]` says it where it is known. Else a server on this host
    (`environment["postgres"]["server_is_local"]`) shares cores unless --pin gives `worker` and `postgres` CPUs apart.
    """
    known = environment.get("co_located")
    if isinstance(known, bool):
        return known
    postgres = environment.get("postgres") or {}
    pin = parameters.get("pin") or {}
    workers, server = set(pin.get("worker", ())), set(pin.get("postgres", ()))
    apart = bool(workers and server and not workers & server)
    return bool(postgres.get("server_is_local")) and not apart
