"""What pairs of ours and a rival's say: a ratio a metric, with its interval; no more than that."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.statistics import LogRatio, paired


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of both sides, pair by pair, and ours over theirs."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    reason: str | None = None  # why there is no ratio

    @property
    def medians(self) -> tuple[float | None, float | None]:
        """Of ours and of theirs."""
        ours, theirs = (statistics.median(side) if side else None for side in (self.ours, self.theirs))
        return ours, theirs


def figure(name: str, pairs: Sequence[tuple[float | None, float | None]]) -> Figure:
    """The ratio of geometric means over the pairs that have both, and its 95 % interval by Student's t on logs.

    Args:
        name: of the metric.
        pairs: (ours, theirs) of each counted pair; None where a side has no value.
    Source: as `statistics.paired`.
    """
    both = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    ours, theirs = tuple(one for one, _ in both), tuple(other for _, other in both)
    try:
        found: LogRatio = paired(theirs, ours)
        return Figure(name, ours, theirs, found.ratio, found.interval())
    except ValueError as error:
        return Figure(name, ours, theirs, reason=str(error))
