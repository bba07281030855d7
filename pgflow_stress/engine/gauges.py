"""What a live view shows beside counts, read out of the arena when it is asked for: the coordinator's side of it."""

from __future__ import annotations

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.latency import latency_of, merge
from pgflow_stress.core.operations import DELIVERIES, Operation
from pgflow_stress.core.progress import Gauges
from pgflow_stress.core.telemetry import SamplerWord
from pgflow_stress.engine.accounts import recorded

_TIMED = {  # what a phase's latency is of
    "create": (Operation.ADD_STEP,),
    "start": (Operation.START_FLOW,),
    "process": (Operation.TASK,),
    "deliver": DELIVERIES,
}
_CPU = "cpu_total"  # the probe's metric: ns by the scheduler's clock


class GaugeReader:
    """Of one repetition."""

    def __init__(self, arena: Arena) -> None:
        """Nothing is read yet."""
        self._arena = arena
        self._usage = _Usage(arena)

    def read(self, phase: str) -> Gauges:
        """Latencies of the phase so far, and who kept how many cores busy."""
        timed = merge(recorded(self._arena, operation) for operation in _TIMED[phase])
        return Gauges(latency_of(timed), self._usage.cores())


class _Usage:
    """Reads the sampler's book as it grows, each point once.

    While the book is thinned its points move, so that one reading of ours may be wrong: it is shown and never kept.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._roles: dict[int, str] = {}  # of the series that are CPU times
        self._series = 0  # known
        self._points = 0  # read
        self._last: dict[int, tuple[int, float]] = {}  # ns of the clock, ns on a CPU
        self._busy: dict[int, float] = {}

    def cores(self) -> dict[str, float]:
        """By role, the cores that its processes kept busy between its last two points."""
        self._learn()
        count = int(self._arena.sampler[SamplerWord.POINTS])
        points = self._arena.points[min(self._points, count) : count]
        self._points = count
        for at_ns, value, place, _tick in points.tolist():
            if place in self._roles:
                self._take(place, at_ns, value)
        found: dict[str, float] = {}
        for place, busy in self._busy.items():
            found[self._roles[place]] = found.get(self._roles[place], 0.0) + busy
        return found

    def _learn(self) -> None:
        known = int(self._arena.sampler[SamplerWord.SERIES])
        for place in range(self._series, known):
            role, _subject, metric, _unit = self._arena.series[place].tolist()
            if metric.decode() == _CPU:
                self._roles[place] = role.decode()
        self._series = known

    def _take(self, place: int, at_ns: int, on_cpu_ns: float) -> None:
        before = self._last.get(place)
        if before is not None and at_ns > before[0]:
            self._busy[place] = max(0.0, (on_cpu_ns - before[1]) / (at_ns - before[0]))
        self._last[place] = (at_ns, on_cpu_ns)
