"""What the endpoint shows at one moment: plain data that no later tick changes, so that another thread may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgflow_stress.core.result import Latency
from pgflow_stress.core.telemetry import Series


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Of all commands alike; counts are of every repetition so far, by scenario."""

    scenario: str = ""
    phase: str = ""
    repetition: int = 0
    repetitions: int = 0
    per_second: float | None = None  # of what the phase counts, lately
    backlog: int = 0
    latency: Latency = field(default_factory=Latency)  # of what the phase times, so far
    cores: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[Series, float] = field(default_factory=dict)  # the sampler's
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by scenario and name
    outcomes: Mapping[tuple[str, str], int] = field(default_factory=dict)  # tasks, by scenario and outcome
    ended: Mapping[str, int] = field(default_factory=dict)  # repetitions
    failed_checks: Mapping[str, int] = field(default_factory=dict)  # of their audits
    at_unix_seconds: float = 0.0
