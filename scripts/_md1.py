"""One server that takes the same time for each, Poisson arrivals (M/D/1): how long arrivals wait, and a simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

_MOST_SERVICES = 14  # of the waiting time: beyond it the alternating sum loses all its digits


@dataclass(frozen=True)
class MD1:
    """Arrivals a second, and seconds a service."""

    per_second: float
    service_seconds: float

    @property
    def load(self) -> float:
        """Share of the time that the server is busy."""
        return self.per_second * self.service_seconds

    @property
    def mean_wait_seconds(self) -> float:
        """Pollaczek, Khinchine."""
        return self.load * self.service_seconds / (2 * (1 - self.load))

    def waits_at_most(self, seconds: float) -> float:
        """The share of arrivals that wait at most so long.

        Source: Erlang 1909; Crommelin 1932, "Delay probability formulae when the holding times are constant".
        """
        if seconds < 0:
            return 0.0
        total = 0.0
        for services in range(int(seconds / self.service_seconds) + 1):
            left = self.per_second * (services * self.service_seconds - seconds)
            total += left**services / math.factorial(services) * math.exp(-left)
        return (1 - self.load) * total

    def wait_quantile_seconds(self, share: float) -> float:
        """So long waits this share of the arrivals at most; 0 where as many do not wait at all."""
        if share <= self.waits_at_most(0.0):
            return 0.0
        most = _MOST_SERVICES * self.service_seconds
        return float(brentq(lambda seconds: self.waits_at_most(seconds) - share, 0.0, most))


def response_seconds(arrivals: Any, service_seconds: float) -> Any:
    """Wait and service of each arrival, in order: float64[n], seconds.

    Source: Lindley 1952 (a departure is one service after the later of the arrival and the departure before).
    """
    served = service_seconds * np.arange(len(arrivals))
    return np.maximum.accumulate(arrivals - served) + served + service_seconds - arrivals
