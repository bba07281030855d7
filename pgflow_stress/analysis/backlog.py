"""Does the queue grow? The slope of an open load's backlog over its window, with bounds.

A queue that is stable wanders all the same, and its neighbouring values are alike: the bounds are by batch means,
widened by what dependence is left in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.series import LEAST_BATCHES, batches
from pgflow_stress.analysis.statistics import LEVEL
from pgflow_stress.analysis.trend import trend

_FILLING = 5  # the first fifth, in which an empty queue fills, says nothing of growth


@dataclass(frozen=True, slots=True)
class Growth:
    """Runs a second by which the backlog grows, and its one-sided 95 % bounds."""

    per_second: float
    lower: float
    upper: float


def growth(mean_backlog: Sequence[float], bin_seconds: float) -> Growth | None:
    """The slope over the last four fifths of a window; None with fewer than 24 bins.

    Least squares on the means of 20 batches (`trend`).

    Args:
        mean_backlog: runs due and not completed, the mean of each bin, in order.
        bin_seconds: of one bin, above 0.
    """
    kept = list(mean_backlog)[len(mean_backlog) // _FILLING :]
    if len(kept) < LEAST_BATCHES:
        return None
    found = trend(batches(kept, LEAST_BATCHES))
    window_seconds = len(kept) // LEAST_BATCHES * LEAST_BATCHES * bin_seconds
    slope, half = found.per_window / window_seconds, found.half(LEVEL) / window_seconds
    return Growth(slope, slope - half, slope + half)
