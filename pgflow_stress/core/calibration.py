"""What `calibrate` measured, `pgflow-stress/calibration/1`: figures with their range, or why there is none."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pgflow_stress.core.result import Json

SCHEMA = "pgflow-stress/calibration/1"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over n repeats: median and range; Nones and a reason where it was not measured.

    A ratio of two things measured in turns has a value for each pair of turns, and `of_medians`, the ratio of the two
    sides' medians. `reach` is the figure to reach, where there is one: at least, or with `at_most` at most.
    """

    unit: str
    values: tuple[float, ...] = ()
    reason: str | None = None
    of_medians: float | None = None
    reach: float | None = None
    at_most: bool = False

    @property
    def n(self) -> int:
        """Repeats."""
        return len(self.values)

    @property
    def median(self) -> float | None:
        """Median of the repeats."""
        return statistics.median(self.values) if self.values else None

    @property
    def range(self) -> tuple[float, float] | None:
        """Least and most of the repeats."""
        return (min(self.values), max(self.values)) if self.values else None

    @property
    def headline(self) -> float | None:
        """The one number to quote: the ratio of medians where it is a ratio, else the median."""
        return self.median if self.of_medians is None else self.of_medians

    @property
    def reached(self) -> bool | None:
        """Whether it reached what it is to reach; None where there is nothing to reach or to compare."""
        if self.reach is None or self.headline is None:
            return None
        return self.headline <= self.reach if self.at_most else self.headline >= self.reach

    def as_json(self) -> Json:
        """Plain JSON values."""
        low, high = self.range or (None, None)
        document: Json = {
            "unit": self.unit, "median": self.median, "low": low, "high": high, "n": self.n,
            "values": list(self.values), "reason": self.reason,
        }  # fmt: skip
        if self.of_medians is not None:
            document["of_medians"] = self.of_medians
        if self.reach is not None:
            document |= {"reach": self.reach, "reach_is": "at most" if self.at_most else "at least"}
            document["reached"] = self.reached
        return document


def ratio(
    ours: Sequence[float], theirs: Sequence[float], *, reach: float | None = None, at_most: bool = False
) -> Figure:
    """Ours over theirs, measured in turns: a value a pair, and the ratio of the medians.

    Raises:
        ValueError: different lengths, none at all, or a zero on their side.
    """
    if len(ours) != len(theirs) or not ours or not all(theirs):
        raise ValueError("need as many of ours as of theirs, at least one, and none of theirs 0")
    pairs = tuple(one / other for one, other in zip(ours, theirs, strict=True))
    return Figure("ratio", pairs, None, statistics.median(ours) / statistics.median(theirs), reach, at_most)


def not_measured(unit: str, reason: str) -> Figure:
    """A figure that is not there, and why."""
    return Figure(unit, reason=reason)


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of one measurement by name, and how they came about; with a reason where it failed as a whole."""

    figures: Mapping[str, Figure] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)  # JSON values
    reason: str | None = None

    def as_json(self) -> Json:
        """Plain JSON values."""
        figures = {name: figure.as_json() for name, figure in self.figures.items()}
        return {"figures": figures, "facts": dict(self.facts), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one call measured, of which machine and server."""

    tool: Json
    measured_at: str  # UTC, ISO 8601
    seconds: float  # of one repeat of one measurement
    pin: Mapping[str, Sequence[int]]
    environment: Json
    parts: Mapping[str, Part]

    def as_json(self) -> Json:
        """The document."""
        return {
            "schema": SCHEMA,
            "tool": self.tool,
            "measured_at": self.measured_at,
            "seconds": self.seconds,
            "pin": {role: list(cpus) for role, cpus in self.pin.items()},
            "environment": self.environment,
            "measurements": {name: part.as_json() for name, part in self.parts.items()},
        }
