"""What a comparison asks and what it finds: frozen dataclasses between `compare` and those who tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pgflow_stress.analysis.fingerprints import Difference, Noise
from pgflow_stress.analysis.regression import FailOn

DEFAULT_PRIMARY = "execute.per_second"
DEFAULT_WITHIN = 0.05


class Verdict(StrEnum):
    """What can be said of a metric; EQUIVALENT is within the ± x % that was asked for."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    NO_DIFFERENCE = "no difference shown"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a pair of results."""

    primary: str = DEFAULT_PRIMARY
    within: float = DEFAULT_WITHIN  # equivalence: a share, 0.05 for ± 5 %
    fail_on: tuple[FailOn, ...] = ()

    @property
    def primaries(self) -> tuple[str, ...]:
        """Decided at 5 % each; all other metrics share 5 % by Holm's rule."""
        return tuple(dict.fromkeys((self.primary, *(gate.metric for gate in self.fail_on))))


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two results."""

    label: str  # where it was read from
    counted: int  # repetitions


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric of both sides; Nones where nothing could be computed.

    `ratio` is candidate over base, `base` and `candidate` are geometric means, in the metric's unit. `p` is of the
    test that decides: against no difference, or, between sessions, against one within their noise. `p_holm` is the
    same for a primary metric, else corrected. `detectable` is a share: 0.03 for 3 %.
    """

    name: str
    primary: bool
    verdict: Verdict
    reason: str = ""
    base: float | None = None
    candidate: float | None = None
    n: tuple[int, int] = (0, 0)
    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    p: float | None = None
    p_holm: float | None = None
    p_equivalent: float | None = None  # corrected likewise
    detectable: float | None = None
    noise: Noise | None = None
    marks: tuple[str, ...] = ()  # why its value is not valid by itself, though two of them may be compared
    exact: bool = False  # a counter that does not vary: an exact test in place of t


@dataclass(frozen=True, slots=True)
class Gate:
    """What became of a --fail-on; fired is None where it could not be decided."""

    text: str
    metric: str
    fired: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One candidate against the base; refused: why they were not compared, and then there are no metrics."""

    scenario: str
    base: Side
    candidate: Side
    question: Question
    paired: bool
    differences: tuple[Difference, ...]
    metrics: tuple[MetricComparison, ...]
    refused: str | None = None

    @property
    def primary(self) -> MetricComparison | None:
        """The primary metric's; None where the comparison was refused."""
        return next((metric for metric in self.metrics if metric.name == self.question.primary), None)

    @property
    def verdict(self) -> Verdict:
        """The primary metric's."""
        return self.primary.verdict if self.primary else Verdict.CANNOT_TELL

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Every --fail-on: it fires where the verdict is *worse* and the estimate beyond the limit."""
        by_name = {metric.name: metric for metric in self.metrics}
        return tuple(
            Gate(gate.text, gate.metric, _fired(gate, by_name.get(gate.metric))) for gate in self.question.fail_on
        )

    @property
    def undecided(self) -> bool:
        """Whether what was asked has no answer: of the gates where there are any, else of the primary metric."""
        if self.question.fail_on:
            return any(gate.fired is None for gate in self.gates)
        return self.verdict is Verdict.CANNOT_TELL


def _fired(gate: FailOn, metric: MetricComparison | None) -> bool | None:
    if metric is None or metric.verdict is Verdict.CANNOT_TELL or metric.ratio is None:
        return None
    return metric.verdict is Verdict.WORSE and gate.is_beyond(metric.ratio)
