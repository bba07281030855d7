"""What the engine tells whoever shows a run's progress. Called between reads of the arena, never in the hot path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pgflow_stress.core.result import Latency, Repetition

if TYPE_CHECKING:  # it brings numpy
    from pgflow_stress.core.telemetry import Series


@dataclass(frozen=True, slots=True)
class Gauges:
    """What takes longer to read than counts; read only where it is shown."""

    latency: Latency = field(default_factory=Latency)  # of what the phase times, all processes together, so far
    cores: Mapping[str, float] = field(default_factory=dict)
    """By role, cores that its processes kept busy between the sampler's last two readings; {} where it has not read."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a repetition stands; counts since the repetition's origin."""

    scenario: str
    repetition: int
    repetitions: int  # warm-up included
    warmup: bool
    phase: str
    done: int  # of what the phase counts: steps created, runs started, tasks completed
    total: int
    elapsed_seconds: float  # of the phase
    backlog: int  # tasks of started runs that are not completed
    errors: int  # statements refused, retried ones included
    schedule_seconds: float | None = None  # of the phase, where its end is a matter of time
    read_gauges: Callable[[], Gauges] = Gauges
    counts: Mapping[str, int] = field(default_factory=dict)  # of the repetition, whatever the phase, by name
    read_series: Callable[[], Mapping[Series, float]] = dict
    """What the sampler last read of each series; {} without one. Takes as long as the gauges."""


class Watch(Protocol):
    """Shows progress; must return at once."""

    def place(self, label: str, done: int, of: int | None) -> None:
        """What the repetitions that follow belong to, "cell 3 of 12"; how many are done, of how many in all."""

    def phase(self, name: str, scenario: str, repetition: int) -> None:
        """A phase of a repetition begins: set-up, prime, create, start, process, audit, clean-up."""

    def tick(self, progress: Progress) -> None:
        """About ten times a second while statements are being sent, and once when the last is answered."""

    def ended(self, repetition: Repetition) -> None:
        """A repetition is over and audited: what it came to."""

    def note(self, line: str) -> None:
        """One line that the user must see: a worker lost, a retry limit reached."""
