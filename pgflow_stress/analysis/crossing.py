"""Where a latency that rises with the rate crosses its limit: a monotone fit, with an interval.

A window's `excess` is the log of its worst latency over that latency's limit: below 0 it holds. Logs, because what
queues multiplies; against the log of the rate, because what is asked for is a ratio too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import stdtrit

from pgflow_stress.analysis.statistics import LEVEL, Floats

BANDWIDTH = 0.15  # of the rate, on either side of the monotone fit's crossing
_LEAST_FOR_LINE = 4
_EVEN = 0.5


@dataclass(frozen=True, slots=True)
class Point:
    """One window: the rate that was offered, whether it held, and by how much it missed (None: no latency says)."""

    per_second: float
    held: bool
    excess: float | None


@dataclass(frozen=True, slots=True)
class Crossing:
    """The rate at which windows stop holding, with its 95 % interval, and what it rests on."""

    per_second: float
    low: float
    high: float
    method: str  # "line": latencies; "outcomes": only whether windows held


def crossing(points: Sequence[Point]) -> Crossing | None:
    """Estimate it from windows of which some held and some did not; None otherwise.

    Isotonic regression of the excess on the rate finds the crossing, a straight line through the windows near it
    makes it exact, Fieller's theorem gives the interval. Where latencies do not say what held (a queue that grew under
    a loose limit, a task lost) isotonic regression of the outcomes: half of the windows hold there, and the interval
    is from the highest rate up to which all held to the lowest from which on none did.

    Source: Barlow et al. 1972 (isotonic regression); Fieller 1954, "Some problems in interval estimation".
    """
    if len({point.held for point in points}) < 2:
        return None
    ordered = sorted(points, key=lambda point: point.per_second)
    rates = np.log([point.per_second for point in ordered])
    outcomes = _outcomes(ordered, rates)
    if not all(point.excess is not None and (point.excess <= 0) == point.held for point in ordered):
        return outcomes
    excesses = np.array([point.excess for point in ordered], dtype=np.float64)
    where = _isotonic_crossing(rates, excesses, 0.0)
    return _line(rates, excesses, where, outcomes)


def _outcomes(ordered: Sequence[Point], rates: Floats) -> Crossing:
    failed = np.array([not point.held for point in ordered], dtype=np.float64)
    where = _isotonic_crossing(rates, failed, _EVEN)
    first_failed, last_held = int(np.argmax(failed)), len(failed) - 1 - int(np.argmin(failed[::-1]))
    below = rates[first_failed - 1] if first_failed else rates[0]
    above = rates[min(last_held + 1, len(rates) - 1)]
    low, high = min(below, where), max(above, where)
    return Crossing(math.exp(where), math.exp(low), math.exp(high), "outcomes")


def _isotonic_crossing(rates: Floats, values: Floats, level: float) -> float:
    """Where the monotone fit passes the level, straight between the last rate below it and the first above."""
    fitted = isotonic_regression(values).x
    above = int(np.searchsorted(fitted, level, side="right"))
    if above in (0, len(fitted)):  # pooled into one block, or all on one side: the end nearest to it
        return float(rates[0] if above == 0 else rates[-1])
    low, high = float(fitted[above - 1]), float(fitted[above])
    share = (level - low) / (high - low)
    return float(rates[above - 1] + share * (rates[above] - rates[above - 1]))


def _line(rates: Floats, excesses: Floats, where: float, outcomes: Crossing) -> Crossing:
    distances = np.abs(rates - where)
    near = np.flatnonzero(distances <= math.log1p(BANDWIDTH))
    if len(near) < _LEAST_FOR_LINE:
        near = np.argsort(distances, kind="stable")[:_LEAST_FOR_LINE]
    found = _fieller(rates[near], excesses[near])
    if found is None:
        return Crossing(
            math.exp(where), min(outcomes.low, math.exp(where)), max(outcomes.high, math.exp(where)), "line"
        )
    rate, low, high = map(math.exp, found)
    return Crossing(rate, low, high, "line")


def _fieller(x: Floats, y: Floats) -> tuple[float, float, float] | None:
    """Where a least-squares line is 0, with its 95 % interval; None where it does not surely rise, or leaves the x."""
    n = len(x)
    spread = float(((x - x.mean()) ** 2).sum())
    if n < 3 or spread <= 0:
        return None
    slope = float(((x - x.mean()) * y).sum()) / spread
    residuals = y - y.mean() - slope * (x - x.mean())
    variance = float((residuals**2).sum()) / (n - 2)
    t = float(stdtrit(n - 2, (1 + LEVEL) / 2))
    g = t**2 * variance / (slope**2 * spread) if slope > 0 else math.inf
    if g >= 1:
        return None
    off = -float(y.mean()) / slope
    middle = off / (1 - g)
    half = t * math.sqrt(variance) / slope / (1 - g) * math.sqrt(off**2 / spread + (1 - g) / n)
    centre = float(x.mean())
    if not float(x.min()) <= centre + off <= float(x.max()):
        return None
    return centre + off, centre + middle - half, centre + middle + half
