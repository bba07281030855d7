"""What a live view shows beside counts, read out of the arena when it is asked for: the coordinator's side of it."""

from __future__ import annotations

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.latency import latency_of, merge
from pgflow_stress.core.operations import DELIVERIES, Operation
from pgflow_stress.core.progress import Gauges
from pgflow_stress.core.telemetry import COUNTER, FIRST_TICK, LAST_TICK, MARK, SamplerWord, Series
from pgflow_stress.engine.accounts import recorded

_TIMED = {  # what a phase's latency is of
    "create": (Operation.ADD_STEP,),
    "start": (Operation.START_FLOW,),
    "process": (Operation.TASK,),
    "deliver": DELIVERIES,
}
_CPU = "cpu_total"  # the probe's metric: ns by the scheduler's clock
_FRESH_TICKS = 10  # what is looked at least often is looked at so often


class GaugeReader:
    """Of one repetition."""

    def __init__(self, arena: Arena) -> None:
        """Nothing is read yet."""
        self._arena = arena
        self._book = _Book(arena)

    def read(self, phase: str) -> Gauges:
        """Latencies of the phase so far, and who kept how many cores busy."""
        timed = merge(recorded(self._arena, operation) for operation in _TIMED[phase])
        return Gauges(latency_of(timed), self._book.cores())

    def series(self) -> dict[Series, float]:
        """What the sampler last read of each series."""
        return self._book.series()


class _Book:
    """Reads the sampler's book as it grows, each point once.

    While the book is thinned its points move, so that one reading of ours may be wrong: it is shown and never kept.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._series: list[Series] = []  # known, in the order of the book
        self._points = 0  # read
        self._last: dict[int, tuple[int, float, int]] = {}  # ns of the clock, value, tick
        self._busy: dict[int, float] = {}  # of the series that are CPU times
        self._newest = FIRST_TICK

    def cores(self) -> dict[str, float]:
        """By role, the cores that its processes kept busy between its last two points."""
        self._read()
        found: dict[str, float] = {}
        for place, busy in self._busy.items():
            role = self._series[place].role
            found[role] = found.get(role, 0.0) + busy
        return found

    def series(self) -> dict[Series, float]:
        """The last value of each; of a gauge only while it is fresh: what is no more is not read any more."""
        self._read()
        return {
            self._series[place]: value
            for place, (_at_ns, value, tick) in self._last.items()
            if self._is_fresh(self._series[place], tick)
        }

    def _is_fresh(self, series: Series, tick: int) -> bool:
        if series.metric.endswith(COUNTER) or tick == LAST_TICK:
            return True
        return self._newest - tick <= (0 if series.unit == MARK else _FRESH_TICKS)

    def _read(self) -> None:
        count = int(self._arena.sampler[SamplerWord.POINTS])
        self._learn()  # after the count: the series of a point is there before it
        points = self._arena.points[min(self._points, count) : count]
        self._points = count
        for at_ns, value, place, tick in points.tolist():
            if self._series[place].metric == _CPU:
                self._take(place, at_ns, value)
            self._last[place] = (at_ns, value, tick)
            self._newest = max(self._newest, tick)

    def _learn(self) -> None:
        known = int(self._arena.sampler[SamplerWord.SERIES])
        for row in self._arena.series[len(self._series) : known].tolist():
            self._series.append(Series(*(text.decode(errors="replace") for text in row)))

    def _take(self, place: int, at_ns: int, on_cpu_ns: float) -> None:
        before = self._last.get(place)
        if before is not None and at_ns > before[0]:
            self._busy[place] = max(0.0, (on_cpu_ns - before[1]) / (at_ns - before[0]))
