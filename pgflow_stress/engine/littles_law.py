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
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.005, 0.020  # the means of the pauses
_SAMPLES_AT_FIRST = 250.0  # before the pauses grow


@dataclass(slots=True)
class Gauge:
    """Samples of the tasks in hand, taken between the first poll and the last completion.

    Each counts for the time that it stands for, as fewer are taken the longer a phase lasts.
    """

    task_seconds: float = 0.0
    seconds: float = 0.0
    samples: int = 0
    empty: int = 0  # of no task in hand, in a row
    empty_seconds: float = 0.0

    def add(self, in_hand: int, seconds: float) -> None:
        """One sample, and the mean of the pauses that it was taken after.

        Those of no task in hand count once another follows: after the last completion a worker may wait for long in a
        poll that waits in the server.
        """
        if not in_hand:
            self.empty += 1
            self.empty_seconds += seconds
            return
        self.task_seconds += in_hand * seconds
        self.seconds += seconds + self.empty_seconds
        self.samples += 1 + self.empty
        self.empty, self.empty_seconds = 0, 0.0


def mean_pause_seconds(elapsed_seconds: float) -> float:
    """Between two samples so far into a phase: a short one has enough of them, a long one's cost next to nothing."""
    return min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, elapsed_seconds / _SAMPLES_AT_FIRST))


def pause_seconds(random_source: random.Random, mean_seconds: float) -> float:
    """Time to the next sample: random, so that it does not beat with the workers' cycles."""
    return random_source.uniform(0.4, 1.6) * mean_seconds


def check(gauge: Gauge, residence_ns: int, process_seconds: float) -> Json:
    """The comparison, as the result has it; `ok` None where there is too little to compare.

    Args:
        gauge: the samples.
        residence_ns: sum over completed tasks of the time in hand, ns.
        process_seconds: of the process phase.
    """
    if not gauge.seconds or not process_seconds or not residence_ns:
        return {"ratio": None, "samples": gauge.samples, "ok": None}
    stamped = residence_ns / (process_seconds * 1e9)
    sampled = gauge.task_seconds / gauge.seconds
    ratio = sampled / stamped
    enough = gauge.samples >= LEAST_SAMPLES
    return {
        "ratio": ratio,
        "in_hand_sampled": sampled,
        "in_hand_stamped": stamped,
        "samples": gauge.samples,
        "ok": abs(ratio - 1) <= TOLERANCE if enough else None,
    }
