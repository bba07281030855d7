"""How fast a phase goes, now and over its course, and how long the rest may take: arithmetic over what ticks say."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

NOW_SECONDS = 1.0  # that a rate "now" is taken over: longer than a poll's batch takes
_MOST_SAMPLES = 256
_LEAST_BIN_SECONDS = 0.25


class Course:
    """One phase's counts over its time."""

    def __init__(self) -> None:
        """Nothing done yet, at its begin."""
        self._samples: list[tuple[float, int]] = [(0.0, 0)]
        self._recent: deque[tuple[float, int]] = deque([(0.0, 0)])

    def add(self, elapsed_seconds: float, done: int) -> None:
        """What was done so far; later than the last one, else it is passed over."""
        if elapsed_seconds <= self._samples[-1][0]:
            return
        self._samples.append((elapsed_seconds, done))
        self._recent.append((elapsed_seconds, done))
        while len(self._recent) > 2 and self._recent[1][0] <= elapsed_seconds - NOW_SECONDS:
            self._recent.popleft()
        if len(self._samples) > _MOST_SAMPLES:
            self._samples = [*self._samples[:-1:2], self._samples[-1]]

    @property
    def per_second(self) -> float:
        """The rate of about the last second."""
        (begin, before), (end, done) = self._recent[0], self._recent[-1]
        return (done - before) / (end - begin) if end > begin else 0.0

    @property
    def mean_per_second(self) -> float:
        """The rate from the phase's begin."""
        elapsed_seconds, done = self._samples[-1]
        return done / elapsed_seconds if elapsed_seconds else 0.0

    def rates(self, most: int) -> list[float]:
        """Rates of at most so many equal parts of the phase so far, none shorter than a quarter of a second."""
        elapsed_seconds = self._samples[-1][0]
        parts = min(most, math.floor(elapsed_seconds / _LEAST_BIN_SECONDS))
        if parts < 1:
            return []
        width = elapsed_seconds / parts
        done = [self._done_at(place * width) for place in range(parts + 1)]
        return [(after - before) / width for before, after in pairwise(done)]

    def _done_at(self, seconds: float) -> float:
        """Between two samples as if it had gone evenly."""
        index = next((i for i, (at, _) in enumerate(self._samples) if at >= seconds), len(self._samples) - 1)
        if index == 0:
            return float(self._samples[0][1])
        (begin, before), (end, after) = self._samples[index - 1], self._samples[index]
        return before + (after - before) * min(1.0, (seconds - begin) / (end - begin))


def sparkline(rates: Sequence[float], levels: str) -> str:
    """A character a rate, from the first of the levels for 0 to the last for the largest."""
    most = max(rates, default=0.0)
    if most <= 0:
        return levels[0] * len(rates)
    return "".join(levels[min(len(levels) - 1, math.floor(rate / most * len(levels)))] for rate in rates)


class Forecast:
    """How long the repetitions that are left will take, as far as those that are done tell."""

    def __init__(self) -> None:
        """Nothing done yet."""
        self._lasted: list[float] = []  # seconds, a repetition each
        self._began: float | None = None
        self._done = 0
        self._of: int | None = None

    def place(self, done: int, of: int | None, now: float) -> None:
        """So many repetitions are done, of so many; None where nobody knows."""
        self.end(now)
        self._done, self._of = done, of

    def begin(self, now: float) -> None:
        """A repetition begins; the one before it has ended."""
        if self._began is not None:
            self.end(now)
        self._began = now

    def end(self, now: float) -> None:
        """The repetition that was going on has ended."""
        if self._began is not None:
            self._lasted.append(now - self._began)
            self._done += 1
        self._began = None

    def left_seconds(self, now: float) -> float | None:
        """Until all are done; None before one was, or where it is not known how many there are."""
        if self._of is None or not self._lasted:
            return None
        each = sum(self._lasted) / len(self._lasted)
        behind = now - self._began if self._began is not None else 0.0
        after = self._of - self._done - (1 if self._began is not None else 0)
        return max(0.0, each - behind) * (self._began is not None) + max(0, after) * each
