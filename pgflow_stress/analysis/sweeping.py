"""What a sweep's cells say together: how costs grow along each axis of numbers, how they scale, which cell is best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.growth import Growth, growth
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.ranking import Ranking, rank
from pgflow_stress.analysis.scalability import LEAST_POINTS, Scalability, scalability
from pgflow_stress.core.units import NS_PER_SECOND

# What a step, a run, a task costs: the inverse of a rate, or a cost as it stands.
COSTS = (
    "create.per_second",
    "create.latency_ns.p50",
    "start.per_second",
    "start.latency_ns.p50",
    "process.per_second",
    "execute.per_second",
    "process.latency_ns.p50",
    "process.latency_ns.max",
    "server.cpu_ns_per_task",
    "server.wal_bytes_per_task",
    "server.buffers_per_task",
    "client.cpu_ns_per_task",
)
WORKERS = "workers"
_BUSY = 0.95  # of the host's CPU time: a point beyond it is limited by its cores


@dataclass(frozen=True, slots=True)
class Point:
    """One measured cell: a number of each axis that has numbers, a text of each other, its metrics by repetition."""

    cell: int
    texts: tuple[str, ...]
    numbers: tuple[float | None, ...]
    values: Mapping[str, tuple[float, ...]]  # by metric, in the order of the rounds
    busy_share: float | None = None  # of the host's CPUs, the mean over repetitions
    runs: int | None = None  # that its tasks are of; None: nobody knows


@dataclass(frozen=True, slots=True)
class Line:
    """The cells along one axis: all others stand still at `at`."""

    axis: str
    at: tuple[tuple[str, str], ...]  # (axis, value) of the others
    points: tuple[Point, ...]
    sizes: tuple[float, ...]  # of the points


@dataclass(frozen=True, slots=True)
class Curve:
    """A cost along a line; either a growth or why there is none."""

    line: Line
    metric: str
    growth: Growth | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Scaling:
    """The law of a line of workers; either it or why there is none. `exhausted` are the N that ran out of cores."""

    line: Line
    metric: str
    law: Scalability | None
    reason: str = ""
    exhausted: tuple[float, ...] = ()


def cost_of(metric: str, value: float) -> float:
    """What one costs: of a rate ns each, else the value."""
    return NS_PER_SECOND / value if describe(metric).kind == "rate" else value


def lines(names: Sequence[str], points: Sequence[Point]) -> list[Line]:
    """Every line along every axis of numbers that has three points or more, sorted by size.

    A size of 0 (no history, no payload) has no place on a scale of decades: its cell is a cell, and no point of a line.
    """
    found = []
    for place, axis in enumerate(names):
        by_rest: dict[tuple[str, ...], list[Point]] = {}
        for point in points:
            if point.numbers[place]:
                rest = (*point.texts[:place], *point.texts[place + 1 :])
                by_rest.setdefault(rest, []).append(point)
        others = (*names[:place], *names[place + 1 :])
        for rest, along in by_rest.items():
            sized = sorted(((point.numbers[place] or 0.0, point) for point in along), key=lambda pair: pair[0])
            if len(sized) > 2:
                at = tuple(zip(others, rest, strict=True))
                found.append(Line(axis, at, tuple(p for _, p in sized), tuple(n for n, _ in sized)))
    return found


def curves(line: Line, metrics: Iterable[str] = COSTS) -> list[Curve]:
    """The growth of every cost that all points of a line have."""
    found = []
    for metric in metrics:
        if any(not point.values.get(metric) for point in line.points):
            continue
        try:
            sizes, values = _pairs(line, metric)
            shown = growth(sizes, [cost_of(metric, value) for value in values])
            found.append(Curve(line, metric, shown))
        except ValueError as why:
            found.append(Curve(line, metric, None, str(why)))
    return found


def scaling(line: Line, metric: str) -> Scaling | None:
    """The scalability law over a line of workers; None for any other axis."""
    if line.axis != WORKERS or any(not point.values.get(metric) for point in line.points):
        return None
    exhausted = tuple(
        size
        for size, point in zip(line.sizes, line.points, strict=True)
        if point.busy_share is not None and point.busy_share > _BUSY
    )
    waiting = {
        size
        for size, point in zip(line.sizes, line.points, strict=True)
        if point.runs is not None and point.runs < size
    }
    left_out = waiting | set(exhausted)
    kept = [(size, point) for size, point in zip(line.sizes, line.points, strict=True) if size not in left_out]
    if len(kept) < LEAST_POINTS:
        but = [f"{len(exhausted)} ran out of cores"] if exhausted else []
        but += [f"{len(waiting)} had fewer runs than workers: tasks of one run queue for it"] if waiting else []
        why = f"{len(kept)} point{'' if len(kept) == 1 else 's'}" + (
            f" of {len(line.points)} ({'; '.join(but)})" if but else ""
        )
        return Scaling(line, metric, None, f"{why}; the law takes {LEAST_POINTS}", exhausted)
    try:
        below = Line(line.axis, line.at, tuple(point for _, point in kept), tuple(size for size, _ in kept))
        return Scaling(line, metric, scalability(*_pairs(below, metric)), "", exhausted)
    except ValueError as why:
        return Scaling(line, metric, None, str(why), exhausted)


def ranking(points: Sequence[Point], metric: str) -> Ranking:
    """The best cells by a metric.

    Raises:
        ValueError: nothing to rank, or it cannot be ranked; one line says why.
    """
    values = {point.cell: point.values[metric] for point in points if point.values.get(metric)}
    return rank(values, higher_is_better=describe(metric).better == "higher")


def _pairs(line: Line, metric: str) -> tuple[list[float], list[float]]:
    sizes = [size for size, point in zip(line.sizes, line.points, strict=True) for _ in point.values[metric]]
    return sizes, [value for point in line.points for value in point.values[metric]]
