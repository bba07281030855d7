"""What observing, or telemetry, costs: repetitions with and without it, run in turns, compared in pairs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.summary import interval, metrics_of
from pgflow_stress.core.result import Json, Repetition

COMPARED = ("process.per_second", "execute.per_second")


@dataclass(frozen=True, slots=True)
class Cost:
    """A rate with what is to be paid for to the same without it; below 1 it slows."""

    ratio: float | None  # geometric mean over the pairs; None without one
    ci95: tuple[float, float] | None  # None for fewer than two pairs
    n: int  # pairs

    def as_json(self) -> Json:
        """As the result has it."""
        return {"ratio": self.ratio, "ci95": list(self.ci95) if self.ci95 else None, "n": self.n}


def paired_cost(repetitions: Sequence[Repetition]) -> dict[str, Cost]:
    """What the observer, or telemetry, did to each rate of `COMPARED`; {} where nothing ran without it.

    Args:
        repetitions: all of a scenario, in the order in which they ran: with, without, without, with and so on, so that
            what drifts steadily falls on both alike.
    Returns:
        By metric: exp of the mean of ln(with / without) over the pairs, and exp of that mean's 95 % interval by
        Student's t, mean -+ t(0.975, n - 1) * s / sqrt(n), s the standard deviation of the logarithms.
    Source: J. M. Bland, D. G. Altman, "Transformations, means, and confidence intervals", BMJ 312 (1996) 1079.
    """
    if not any(repetition.baseline for repetition in repetitions):
        return {}
    rates = [(dict(metrics_of(watched)), dict(metrics_of(alone))) for watched, alone in pairs(repetitions)]
    return {name: _cost([(a.get(name), b.get(name)) for a, b in rates]) for name in COMPARED}


def pairs(repetitions: Sequence[Repetition]) -> Iterator[tuple[Repetition, Repetition]]:
    """(with, without) of those that ran one after the other, each in one pair; one that does not count has none."""
    ran = [repetition for repetition in repetitions if not repetition.warmup]
    place = 0
    while place + 1 < len(ran):
        both = ran[place], ran[place + 1]
        watched = [repetition for repetition in both if repetition.counted]
        alone = [repetition for repetition in both if _counts_as_baseline(repetition)]
        if watched and alone:
            yield watched[0], alone[0]
            place += 1
        place += 1


def _counts_as_baseline(repetition: Repetition) -> bool:
    return repetition.baseline and not (repetition.interrupted or repetition.lost_worker)


def _cost(rates: Sequence[tuple[float | None, float | None]]) -> Cost:
    logarithms = [math.log(watched / alone) for watched, alone in rates if watched and alone]
    if not logarithms:
        return Cost(None, None, 0)
    ends = interval(logarithms)
    return Cost(
        ratio=math.exp(statistics.fmean(logarithms)),
        ci95=(math.exp(ends[0]), math.exp(ends[1])) if ends else None,
        n=len(logarithms),
    )
