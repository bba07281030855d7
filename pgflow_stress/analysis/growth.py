"""How a cost grows with a size: not at all, with n, n log n or n², chosen by AICc on the residuals of the logs.

Logs, because noise multiplies: a cost that is ten times as high varies ten times as much. What is told besides the
model is how much the cost grows a decade, with its interval: that needs no model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from pgflow_stress.analysis.statistics import logs

FLAT_PER_DECADE = 0.10  # whose upper bound is below this is called flat
LEAST_SIZES = 3
ALIKE = 2.0  # AICc
_LEVEL = 0.95
_ROUNDS = 60  # of the Gauss-Newton iteration
_CONVERGED = 1e-10

Floats = npt.NDArray[np.float64]

MODELS: dict[str, Callable[[Floats], Floats]] = {  # in order of growth
    "n": lambda n: n,
    "n log n": lambda n: n * np.log(np.maximum(n, 1.0)),
    "n²": lambda n: n * n,
}
CONSTANT = "constant"


class Shown(StrEnum):
    """What the growth a decade is shown to be."""

    FLAT = "flat"  # it grows by less than FLAT_PER_DECADE
    GROWS = "grows"
    FALLS = "falls"
    NOTHING = "cannot tell"


@dataclass(frozen=True, slots=True)
class Parameter:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Growth:
    """What the values show: cost = a + b g(n), in the unit of the costs.

    `margin` is by how much the runner-up's AICc is worse; below ALIKE the two fit alike, and the model that grows more
    slowly was taken.
    """

    model: str
    a: Parameter
    b: Parameter | None  # None for a constant
    margin: float
    runner_up: str
    per_decade: Parameter  # a share: 0.5 is 50 % for each ten times as many
    sizes: tuple[float, float]  # the smallest and the largest n
    n: int  # values

    @property
    def shown(self) -> Shown:
        """What the whole interval says."""
        low, high = self.per_decade.low, self.per_decade.high
        if high < 0 and low < -FLAT_PER_DECADE:
            return Shown.FALLS
        if high < FLAT_PER_DECADE:
            return Shown.FLAT
        return Shown.GROWS if low > 0 else Shown.NOTHING


def growth(sizes: Sequence[float] | Floats, costs: Sequence[float] | Floats) -> Growth:
    """The growth of a cost.

    Args:
        sizes: [m], n of each value, above 0; at least LEAST_SIZES of them differ.
        costs: [m], a repetition's cost each, above 0, in any unit.
    Raises:
        ValueError: too few sizes or values, or one that has no log; one line says which.
    Source: Burnham, Anderson 2002, ch. 2 (AICc); Seber, Wild 2003, ch. 2 (Gauss-Newton, linearised intervals).
    """
    n, log_costs = np.exp(logs(sizes, 1)), logs(costs, 1)
    if len(n) != len(log_costs):
        raise ValueError(f"{len(n)} sizes and {len(log_costs)} costs")
    distinct = len(np.unique(np.round(n, 9)))
    if distinct < LEAST_SIZES:
        raise ValueError(f"{distinct} size{'' if distinct == 1 else 's'}: a growth takes {LEAST_SIZES}")
    if len(n) < LEAST_SIZES + 2:
        raise ValueError(f"{len(n)} values: a growth takes {LEAST_SIZES + 2}")
    fits = {CONSTANT: _constant(log_costs), **{name: _affine(g(n), log_costs) for name, g in MODELS.items()}}
    least = min(fit.aicc for fit in fits.values())
    best = next(name for name, fit in fits.items() if fit.aicc < least + ALIKE)  # in order of growth
    second = min(fits.keys() - {best}, key=lambda name: fits[name].aicc)
    chosen = fits[best]
    return Growth(
        model=best,
        a=chosen.parameters[0],
        b=chosen.parameters[1] if len(chosen.parameters) > 1 else None,
        margin=fits[second].aicc - chosen.aicc,
        runner_up=second,
        per_decade=_per_decade(np.log10(n), log_costs),
        sizes=(float(n.min()), float(n.max())),
        n=len(n),
    )


def curve_at(model: str, a: float, b: float, sizes: Sequence[float]) -> list[float]:
    """The cost that a fit says for each size."""
    if model == CONSTANT:
        return [a] * len(sizes)
    g = MODELS[model](np.asarray(sizes, dtype=np.float64))
    return [float(cost) for cost in a + b * g]


@dataclass(frozen=True, slots=True)
class _Fit:
    aicc: float
    parameters: tuple[Parameter, ...]


def _aicc(residuals: Floats, parameters: int) -> float:
    """Akaike's criterion, corrected; the variance of the residuals is a parameter as well."""
    m, k = len(residuals), parameters + 1
    variance = max(float(residuals @ residuals) / m, 1e-24)
    return m * math.log(variance) + 2 * k + (2 * k * (k + 1) / (m - k - 1) if m > k + 1 else math.inf)


def _constant(log_costs: Floats) -> _Fit:
    mean = float(log_costs.mean())
    residuals = log_costs - mean
    m = len(log_costs)
    half = float(stdtrit(m - 1, (1 + _LEVEL) / 2)) * float(residuals.std(ddof=1)) / math.sqrt(m)
    return _Fit(_aicc(residuals, 1), (Parameter(math.exp(mean), math.exp(mean - half), math.exp(mean + half)),))


def _affine(g: Floats, log_costs: Floats) -> _Fit:
    """log cost = log(a + b g) by Gauss-Newton; a and b are at least 0, and one of them above it."""
    scale = float(g.max())
    x = g / scale
    a, b = _start(x, np.exp(log_costs))
    for _ in range(_ROUNDS):
        predicted = a + b * x
        jacobian = np.column_stack((1 / predicted, x / predicted))
        step, *_ = np.linalg.lstsq(jacobian, log_costs - np.log(predicted), rcond=None)
        a_next, b_next = _inside(a, b, np.asarray(step, dtype=np.float64), x)
        moved = abs(a_next - a) + abs(b_next - b)
        a, b = a_next, b_next
        if moved <= _CONVERGED * (a + b):
            break
    predicted = a + b * x
    residuals = log_costs - np.log(predicted)
    jacobian = np.column_stack((1 / predicted, x / predicted))
    df = len(x) - 2
    spread = math.sqrt(max(float(residuals @ residuals) / df, 0.0))
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    t = float(stdtrit(df, (1 + _LEVEL) / 2))
    halves = t * spread * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return _Fit(
        _aicc(residuals, 2),
        (
            Parameter(a, max(0.0, a - halves[0]), a + halves[0]),
            Parameter(b / scale, max(0.0, b - halves[1]) / scale, (b + halves[1]) / scale),
        ),
    )


def _start(x: Floats, costs: Floats) -> tuple[float, float]:
    low, high = costs[x == x.min()].mean(), costs[x == x.max()].mean()
    b = max((high - low) / (x.max() - x.min()), 1e-6 * high)
    return float(max(low - b * x.min(), 1e-6 * low)), float(b)


def _inside(a: float, b: float, step: Floats, x: Floats) -> tuple[float, float]:
    """A step that is halved until every prediction stays above 0; parameters end at 0 at the least."""
    for _ in range(_ROUNDS):
        a_next, b_next = max(0.0, a + float(step[0])), max(0.0, b + float(step[1]))
        if (a_next + b_next * x).min() > 0:
            return a_next, b_next
        step = step / 2
    return a, b


def _per_decade(decades: Floats, log_costs: Floats) -> Parameter:
    """The slope of the log cost over log10 n, as a share a decade, by least squares and Student's t."""
    centred = decades - decades.mean()
    weight = float(centred @ centred)
    slope = float(centred @ log_costs) / weight
    residuals = log_costs - log_costs.mean() - slope * centred
    df = len(decades) - 2
    error = math.sqrt(max(float(residuals @ residuals) / df / weight, 0.0))
    half = float(stdtrit(df, (1 + _LEVEL) / 2)) * error
    return Parameter(*(math.expm1(min(exponent, 700.0)) for exponent in (slope, slope - half, slope + half)))
