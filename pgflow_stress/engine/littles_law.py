"""The measurement checks itself: tasks in hand = throughput x the mean time that each was in hand (Little's law).

The left side is sampled by the coordinator from the workers' gauges, the right side is what the workers stamped; both
count a task from its poll's answer to its completion's answer. Where they differ the clock or the counting is wrong.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from pgflow_stress.core.result import Json

LEAST_SAMPLES = 200
TOLERANCE = 0.05


@dataclass(slots=True)
class Gauge:
    """Samples of the tasks in hand, taken between the first poll and the last completion."""

    total: float = 0.0
    samples: int = 0
    empty: int = 0  # of no task in hand, in a row

    def add(self, in_hand: int) -> None:
        """One sample.

        Those of no task in hand count once another follows: after the last completion a worker may wait for long in a
        poll that waits in the server.
        """
        if not in_hand:
            self.empty += 1
            return
        self.total += in_hand
        self.samples += 1 + self.empty
        self.empty = 0


def pause_seconds(random_source: random.Random) -> float:
    """Time to the next sample: random, so that it does not beat with the workers' cycles."""
    return random_source.uniform(0.002, 0.008)


def check(gauge: Gauge, residence_ns: int, process_seconds: float) -> Json:
    """The comparison, as the result has it; `ok` None where there is too little to compare.

    Args:
        gauge: the samples.
        residence_ns: sum over completed tasks of the time in hand, ns.
        process_seconds: of the process phase.
    """
    if not gauge.samples or not process_seconds or not residence_ns:
        return {"ratio": None, "samples": gauge.samples, "ok": None}
    stamped = residence_ns / (process_seconds * 1e9)
    ratio = gauge.total / gauge.samples / stamped
    enough = gauge.samples >= LEAST_SAMPLES
    return {
        "ratio": ratio,
        "in_hand_sampled": gauge.total / gauge.samples,
        "in_hand_stamped": stamped,
        "samples": gauge.samples,
        "ok": abs(ratio - 1) <= TOLERANCE if enough else None,
    }
