"""Does the queue grow? The slope of an open load's backlog over its window, with bounds.

A queue that is stable wanders all the same, and its neighbouring values are alike: the bounds are by batch means,
widened by what dependence is left in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pgflow_stress.analysis.series import LEAST_BATCHES, batches, dependence
from pgflow_stress.analysis.statistics import LEVEL, Floats

_FILLING = 5  # the first fifth, in which an empty queue fills, says nothing of growth
_LEAST_DF = 2.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Runs a second by which the backlog grows, and its one-sided 95 % bounds."""

    per_second: float
    lower: float
    upper: float


def growth(mean_backlog: Sequence[float], bin_seconds: float) -> Growth | None:
    """The slope over the last four fifths of a window; None with fewer than 24 bins.

    Least squares on the means of 20 batches. Where the residuals are alike still, the error is widened, and the
    degrees of freedom are lowered, to what their effective number is.

    Args:
        mean_backlog: runs due and not completed, the mean of each bin, in order.
        bin_seconds: of one bin, above 0.
    Source: Law 2015, ch. 9 (batch means); Geyer 1992 (effective number), see `series`.
    """
    kept = list(mean_backlog)[len(mean_backlog) // _FILLING :]
    if len(kept) < LEAST_BATCHES:
        return None
    heights = batches(kept, LEAST_BATCHES)
    length_seconds = len(kept) // LEAST_BATCHES * bin_seconds
    at = (np.arange(LEAST_BATCHES) - (LEAST_BATCHES - 1) / 2) * length_seconds
    spread = float((at**2).sum())
    slope = float((at * heights).sum()) / spread
    residuals = heights - heights.mean() - slope * at
    effective = _effective(residuals)
    error = math.sqrt(float((residuals**2).sum()) / (LEAST_BATCHES - 2) / spread * LEAST_BATCHES / effective)
    df = max(_LEAST_DF, effective - 2)
    half = float(stdtrit(df, LEVEL)) * error
    return Growth(slope, slope - half, slope + half)


def _effective(residuals: Floats) -> float:
    if float(np.ptp(residuals)) == 0:
        return float(len(residuals))
    return dependence(residuals).effective_n
