"""Clock-aligned ticks: the moments at which the wall clock is a multiple of the interval.

The wall clock is read once; a step of it moves no tick.
"""

from __future__ import annotations


class Ticks:
    """When the next reading is due; a moment that has passed altogether is missed, and counted."""

    def __init__(self, interval_ns: int, now_ns: int, unix_ns: int) -> None:
        """Args: the interval, and one moment by the monotonic and by the wall clock, ns."""
        self.interval_ns = interval_ns
        self.missed = 0
        self.number = 0  # of the tick that is due next
        self.due_ns = now_ns + interval_ns - unix_ns % interval_ns

    def pass_by(self, now_ns: int) -> None:
        """The tick that was due is taken now: the next one is the first that lies ahead."""
        late = (now_ns - self.due_ns) // self.interval_ns
        self.missed += late
        self.number += late + 1
        self.due_ns += (late + 1) * self.interval_ns
