"""A straight line through the batch means of one window, and what its slope is worth where neighbours are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from pgflow_stress.analysis.series import dependence
from pgflow_stress.analysis.statistics import Floats

_LEAST_DF = 2.0


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope, in the heights' unit a window, its standard error, and the degrees of freedom of that."""

    per_window: float
    error: float
    df: float

    def half(self, probability: float) -> float:
        """Half an interval: the t quantile at this probability times the error."""
        return float(stdtrit(self.df, probability)) * self.error


def trend(heights: Floats) -> Trend:
    """Least squares on means of batches of equal length.

    Where the residuals are alike still, the error is widened, and the degrees of freedom are lowered, to what their
    effective number is.

    Args:
        heights: at least 3, in any unit, in their order in time.
    Source: Law 2015, ch. 9 (batch means); Geyer 1992 (effective number), see `series`.
    """
    count = len(heights)
    at = (np.arange(count) - (count - 1) / 2) / count
    spread = float((at**2).sum())
    slope = float((at * heights).sum()) / spread
    residuals = heights - heights.mean() - slope * at
    effective = effective_number(residuals)
    error = math.sqrt(float((residuals**2).sum()) / (count - 2) / spread * count / effective)
    return Trend(slope, error, max(_LEAST_DF, effective - 2))


def effective_number(values: Floats) -> float:
    """How many independent values these are worth; all of them, where they do not vary."""
    return dependence(values, 2).effective_n if float(np.ptp(values)) else float(len(values))
