"""The Universal Scalability Law: what is lost to waiting for each other (sigma) and to agreeing (kappa).

X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)), over the backends that are active at once. It knows nothing of
cores: points at which these were exhausted are a second segment, and no part of the fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import stdtrit

from pgflow_stress.analysis.growth import Parameter
from pgflow_stress.analysis.statistics import logs

LEAST_POINTS = 6  # different N
MOST_AHEAD = 2.0  # times the largest N that was measured: further is no forecast
_LEVEL = 0.95

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scalability:
    """The fitted law. `peak` is the N of the highest throughput; None where it still rises at twice the largest N."""

    one: Parameter  # lambda: the throughput of one
    sigma: Parameter
    kappa: Parameter
    peak: float | None
    largest: float  # N that was measured
    n: int  # values
    covariance: tuple[tuple[float, ...], ...]
    df: int

    def forecast(self, many: float) -> Parameter:
        """The throughput of so many, with the interval of the curve.

        Raises:
            ValueError: more than MOST_AHEAD times the largest that was measured.
        """
        if many > MOST_AHEAD * self.largest:
            raise ValueError(f"{many:g} is more than {MOST_AHEAD:g} x the {self.largest:g} that were measured")
        theta = np.array([math.log(self.one.value), self.sigma.value, self.kappa.value])
        at = np.array([many])
        gradient = _jacobian(theta, at)[0]
        middle = float(_log_law(theta, at)[0])
        variance = float(gradient @ np.array(self.covariance) @ gradient)
        half = float(stdtrit(self.df, (1 + _LEVEL) / 2)) * math.sqrt(max(variance, 0.0))
        return Parameter(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def scalability(backends: Sequence[float] | Floats, rates: Sequence[float] | Floats) -> Scalability:
    """Fit the law to the logs of rates.

    Args:
        backends: [m], N of each value; at least LEAST_POINTS of them differ.
        rates: [m], a repetition's throughput each.
    Raises:
        ValueError: too few points or a value that has no log; one line says which.
    Source: Gunther 2007, "Guerrilla Capacity Planning", ch. 4; intervals linearised (Seber, Wild 2003, ch. 5).
    """
    n, log_rates = np.exp(logs(backends, 1)), logs(rates, 1)
    distinct = len(np.unique(np.round(n, 9)))
    if distinct < LEAST_POINTS:
        raise ValueError(f"{distinct} points: the law takes {LEAST_POINTS}")
    first = log_rates[n == n.min()].mean() - math.log(n.min())
    found = least_squares(
        lambda theta: _log_law(theta, n) - log_rates,
        np.array([first, 0.05, 0.001]),
        jac=lambda theta: _jacobian(theta, n),
        bounds=([-np.inf, 0.0, 0.0], [np.inf, 1.0, 1.0]),
        x_scale=(1.0, 0.1, 0.01),
    )
    theta: Floats = found.x
    df = len(n) - 3
    variance = float(found.fun @ found.fun) / df
    covariance = variance * np.linalg.pinv(found.jac.T @ found.jac)
    halves = float(stdtrit(df, (1 + _LEVEL) / 2)) * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    one, sigma, kappa = (
        Parameter(float(value), float(value - half), float(value + half))
        for value, half in zip(theta, halves, strict=True)
    )
    largest = float(n.max())
    peak = math.sqrt((1 - sigma.value) / kappa.value) if kappa.value > 0 else math.inf
    return Scalability(
        one=Parameter(*(math.exp(value) for value in (one.value, one.low, one.high))),
        sigma=_from_zero(sigma),
        kappa=_from_zero(kappa),
        peak=peak if peak <= MOST_AHEAD * largest else None,
        largest=largest,
        n=len(n),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        df=df,
    )


def _from_zero(parameter: Parameter) -> Parameter:
    return Parameter(parameter.value, max(0.0, parameter.low), parameter.high)


def _log_law(theta: Floats, n: Floats) -> Floats:
    log_one, sigma, kappa = theta
    return np.asarray(log_one + np.log(n) - np.log1p(sigma * (n - 1) + kappa * n * (n - 1)))


def _jacobian(theta: Floats, n: Floats) -> Floats:
    _, sigma, kappa = theta
    below = 1 + sigma * (n - 1) + kappa * n * (n - 1)
    return np.column_stack((np.ones_like(n), -(n - 1) / below, -n * (n - 1) / below))
