"""Does the rate within one window stay what it is: a drift over the whole of it, and a beginning unlike the rest.

Both rest on 20 batches of the window, whose sums are nearly independent where its tasks are not, and allow for what
dependence is left; with fewer bins than batches nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy.special import stdtrit

from pgflow_stress.analysis.series import batches
from pgflow_stress.analysis.statistics import LEVEL, Floats, mean
from pgflow_stress.analysis.trend import effective_number, trend

_FIRST = 10  # a tenth


@dataclass(frozen=True, slots=True)
class Drift:
    """By which share the rate changes over a window, with its 95 % interval; rates are in tasks a second."""

    share: float
    low: float
    high: float
    first_tenth: float
    last_tenth: float

    def is_beyond(self, limit: float) -> bool:
        """Whether the whole interval is beyond -limit to +limit."""
        return self.low > limit or self.high < -limit


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first tenth of a window against the rest: its difference as a share, and half of its interval."""

    share: float
    half: float
    first_tenth: float
    rest: float

    def is_beyond(self, limit: float) -> bool:
        """Whether it is off by more than the interval and the limit together."""
        return abs(self.share) > self.half + limit


def drift(completed: Sequence[int], bin_seconds: float, count: int, level: float = LEVEL) -> Drift | None:
    """The log-linear slope of the rate over the window, t interval over batches; None with fewer bins than batches.

    Args:
        completed: tasks in each bin.
        bin_seconds: of one bin.
        count: batches, at least 3.
        level: of the interval.
    Source: least squares on the logs of batch means, widened by their dependence (`trend`).
    """
    rates = _rates(completed, bin_seconds, count)
    if rates is None:
        return None
    tasks = rates * bin_seconds * (len(completed) // count)
    found = trend(np.log(tasks + 0.5))  # half a task: a batch without any has a log too
    half = found.half((1 + level) / 2)
    tenth = max(1, len(completed) // _FIRST)
    return Drift(
        share=math.expm1(found.per_window),
        low=math.expm1(found.per_window - half),
        high=math.expm1(found.per_window + half),
        first_tenth=sum(completed[:tenth]) / tenth / bin_seconds,
        last_tenth=sum(completed[-tenth:]) / tenth / bin_seconds,
    )


def common_drift(drifts: Sequence[Drift]) -> Drift:
    """What the windows of several repetitions drift by in common: the geometric mean, t interval over them.

    Args:
        drifts: of at least two repetitions.
    Raises:
        ValueError: fewer, or all the same.
    """
    share = mean([math.log1p(one.share) for one in drifts])
    return Drift(
        share=math.expm1(share.mean),
        low=math.expm1(share.low),
        high=math.expm1(share.high),
        first_tenth=fmean(one.first_tenth for one in drifts),
        last_tenth=fmean(one.last_tenth for one in drifts),
    )


def beginning(
    completed: Sequence[int], bin_seconds: float, count: int, *, level: float = LEVEL, at_once: float = 1.0
) -> Beginning | None:
    """The first tenth of the batches against the others; None with fewer bins than batches, or nothing to compare with.

    The interval is that of the difference of both means, by the spread of the rest: a prediction interval. Where the
    rest's batches are alike it is widened, and its degrees of freedom are lowered, to what their effective number is.
    The first tenth may begin and end amid a statement, so that its count is off by half of what one completes.

    Args:
        completed, bin_seconds, count, level: as `drift`; at least 10 batches.
        at_once: tasks that one statement completes.
    Source: Hahn, Meeker 1991, "Statistical Intervals", ch. 4 (mean of m further values), on batch means.
    """
    rates = _rates(completed, bin_seconds, count)
    if rates is None:
        return None
    some = count // _FIRST
    first, rest = rates[:some], rates[some:]
    centre = float(rest.mean())
    if not centre:
        return None
    effective = effective_number(rest)
    of_first = max(1.0, some * effective / len(rest))
    amid = at_once / 2 / (some * (len(completed) // count) * bin_seconds)
    error = math.hypot(math.sqrt(float(rest.var(ddof=1)) * (1 / of_first + 1 / effective)), amid)
    half = float(stdtrit(max(1.0, effective - 1), (1 + level) / 2)) * error
    return Beginning(float(first.mean()) / centre - 1, half / centre, float(first.mean()), centre)


def _rates(completed: Sequence[int], bin_seconds: float, count: int) -> Floats | None:
    """Tasks a second in each batch, float64[count]."""
    if len(completed) < count:
        return None
    rates: Floats = batches([float(tasks) for tasks in completed], count) / bin_seconds
    return rates if float(rates.max()) > 0 else None
