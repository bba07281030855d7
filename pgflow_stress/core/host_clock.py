"""How one host's clock stood to the database server's around a window: the common time of several hosts.

A host's stamps are CLOCK_MONOTONIC. The server's wall clock is the one clock that all hosts can read, by round trips,
each with an error of half of it. Read before and after the window, the two are joined by a straight line.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_MS

MOST_ERROR_NS = 100 * NS_PER_MS  # of a reading; beyond it hosts cannot be told apart in time
MOST_DRIFT_PPM = 500.0  # NTP's own limit for a clock that is slewed
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One relation of the server's wall clock to a host's own clocks."""

    at_ns: int  # CLOCK_MONOTONIC of the host
    offset_ns: int  # the server's wall clock less the host's CLOCK_MONOTONIC
    error_ns: int  # at most so far is the offset off
    wall_ns: int  # the host's wall clock less its CLOCK_MONOTONIC

    @property
    def wall_offset_ns(self) -> int:
        """The host's wall clock less the server's."""
        return self.wall_ns - self.offset_ns


@dataclass(frozen=True, slots=True)
class HostClock:
    """Readings on both sides of a window."""

    before: ClockReading
    after: ClockReading

    def server_ns(self, at_ns: int) -> int:
        """A moment of the host's CLOCK_MONOTONIC by the server's wall clock; whole numbers, so nothing is rounded."""
        span_ns = self.after.at_ns - self.before.at_ns
        if span_ns <= 0:
            return at_ns + self.before.offset_ns
        drift_ns = self.after.offset_ns - self.before.offset_ns
        return at_ns + self.before.offset_ns + drift_ns * (at_ns - self.before.at_ns) // span_ns

    @property
    def error_ns(self) -> int:
        """At most so far is `server_ns` off, where the clocks drift evenly."""
        return max(self.before.error_ns, self.after.error_ns)

    @property
    def drift_ppm(self) -> float:
        """By how much the server's clock gained on the host's."""
        span_ns = self.after.at_ns - self.before.at_ns
        return (self.after.offset_ns - self.before.offset_ns) * _PPM / span_ns if span_ns > 0 else 0.0

    def as_json(self) -> Json:
        """As the result has it."""
        return {"before": asdict(self.before), "after": asdict(self.after), "drift_ppm": self.drift_ppm}

    @classmethod
    def of(cls, document: Json) -> HostClock:
        """Read back.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        before, after = ({key: int(value) for key, value in document[side].items()} for side in ("before", "after"))
        return cls(ClockReading(**before), ClockReading(**after))


def why_not_related(first: ClockReading, second: ClockReading) -> str | None:
    """Why two readings do not tell one relation; None where they do."""
    for reading in (first, second):
        if reading.error_ns > MOST_ERROR_NS:
            return (
                f"the shortest round trip leaves its clock uncertain by {reading.error_ns / NS_PER_MS:.0f} ms, and "
                f"more than {MOST_ERROR_NS // NS_PER_MS} ms is no relation"
            )
    moved_ns = abs(second.offset_ns - first.offset_ns)
    allowed_ns = first.error_ns + second.error_ns + abs(second.at_ns - first.at_ns) * MOST_DRIFT_PPM / _PPM
    if moved_ns > allowed_ns:
        return f"between two readings its clock and the database's moved by {moved_ns / NS_PER_MS:.1f} ms"
    return None
