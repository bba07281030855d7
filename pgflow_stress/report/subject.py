"""One result as its report shows it: with its histograms, and its timings reduced to a screen's worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Repetition, Result
from pgflow_stress.report.saved import Saved
from pgflow_stress.report.timings import TaskGrid, read_grids


@dataclass(frozen=True, slots=True)
class Subject:
    """What every section of a report looks at."""

    result: Result
    histograms: Mapping[str, Histogram] = field(default_factory=dict)  # by operation, over the counted repetitions
    grids: Mapping[int, TaskGrid] = field(default_factory=dict)  # by repetition

    @property
    def name(self) -> str:
        """The scenario's."""
        return str(self.result.scenario["name"])

    @property
    def looked_at(self) -> tuple[Repetition, ...]:
        """The counted repetitions; where none is counted, all of them."""
        return counted_or_all(self.result)

    @property
    def typical(self) -> Repetition | None:
        """Of those the one with the median rate: what is shown of one repetition is shown of it."""
        ordered = sorted(self.looked_at, key=_rate)
        return ordered[(len(ordered) - 1) // 2] if ordered else None


def subject_of(saved: Saved) -> Subject:
    """Read what lies beside a result.

    Raises:
        UsageFault: a file of it cannot be read.
    """
    return Subject(saved.result, saved.histograms(), read_grids(saved.timings(), ends_ns(saved.result)))


def ends_ns(result: Result) -> dict[int, int]:
    """By repetition that is looked at, where its last completion was answered."""
    ends = {one.index: one.phases["process"].to_ns for one in counted_or_all(result) if "process" in one.phases}
    return {index: end for index, end in ends.items() if end}


def counted_or_all(result: Result) -> tuple[Repetition, ...]:
    """The counted repetitions; where none is counted, all of them."""
    return tuple(one for one in result.repetitions if one.counted) or result.repetitions


def _rate(repetition: Repetition) -> float:
    phase = repetition.phases.get("execute")
    return (phase.per_second if phase is not None else None) or 0.0
