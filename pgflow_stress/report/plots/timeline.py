"""What happened over time: tasks a second, and latencies as a heat map; lowest and highest are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.report.plots import Plot, axis, colour, merged, thinned, trace
from pgflow_stress.report.plots.marks import mark_layout, marks_of
from pgflow_stress.report.tables import Table, table
from pgflow_stress.report.timings import COLUMNS, ROWS, TaskGrid, row_floor_ns

_MOST_LINES = 6
_MOST_LISTED = 30
_TOGETHER = (1, 2, 4, 5, 8, 10, 20)  # each divides COLUMNS
_MOST_EMPTY = 0.05  # of the points


def throughput_plot(shown: Repetition, others: Sequence[Repetition], grids: Mapping[int, TaskGrid]) -> Plot | None:
    """Tasks a second over time: one repetition with its marks, the others thin behind it.

    Args:
        shown: the repetition whose phases and incidents are marked.
        others: counted ones beside it.
        grids: by repetition; without one its own series of completions is drawn, where it has that.
    """
    lines = {one.index: line for one in (shown, *others[: _MOST_LINES - 1]) if (line := _rates(one, grids)) is not None}
    if shown.index not in lines:
        return None
    title = "Tasks completed a second"
    drawn = sorted(lines, key=lambda index: index == shown.index)  # the marked one on top
    marks = marks_of(shown)
    highest = formats.with_unit(float(lines[shown.index][1].max()), "tasks/s")
    return Plot(
        name="throughput",
        title=title,
        described=f"{title} over time, repetition {shown.index}: at most {highest}",
        caption=f"Marks are of repetition {shown.index}, the thick line; its phases, and every incident.",
        traces=tuple(
            trace(
                f"repetition {index}",
                [float(f"{at:.5g}") for at in lines[index][0]],
                [float(f"{rate:.5g}") for rate in lines[index][1]],
                line={
                    "color": colour(0) if index == shown.index else "@soft",
                    "width": 2 if index == shown.index else 1,
                },
                opacity=1 if index == shown.index else 0.6,
            )
            for index in drawn
        ),
        layout=merged(
            {
                "xaxis": axis("s since the repetition's origin", rangemode="tozero"),
                "yaxis": axis("tasks/s", rangemode="tozero"),
                "margin": {"t": 70},
                "legend": {"orientation": "h", "y": -0.3},
            },
            mark_layout(marks[:_MOST_LISTED]),
        ),
        table=_rate_table(shown.index, lines, [(mark.seconds, mark.text) for mark in marks[:_MOST_LISTED]]),
    )


Line = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _rates(repetition: Repetition, grids: Mapping[int, TaskGrid]) -> Line | None:
    """(seconds, tasks a second), from the rows, or else from the bins that the result itself has."""
    grid = grids.get(repetition.index)
    if repetition.soak.get("windows"):  # of whose rows not all are kept
        windows = repetition.soak["windows"]
        middles = np.asarray(windows["from_seconds"]) + np.asarray(windows["seconds"]) / 2
        return (middles, np.asarray(windows["tasks_per_second"])) if len(middles) else None
    if grid is not None:
        together = _columns_together(grid.completed)
        return _binned(
            grid.completed.reshape(-1, together).sum(axis=1), together * grid.end_ns / COLUMNS / NS_PER_SECOND
        )
    series, process = repetition.client.get("series") or {}, repetition.phases.get("process")
    completed, width = series.get("completed") or (), series.get("bin_seconds")
    if not completed or not width or process is None or process.from_ns is None:
        return None
    return _binned(completed, float(width), process.from_ns / NS_PER_SECOND)


def _binned(completed: npt.ArrayLike, width_seconds: float, begin_seconds: float = 0.0) -> Line:
    counts = np.asarray(completed, dtype=np.float64)
    middles = np.asarray(begin_seconds + (np.arange(counts.size) + 0.5) * width_seconds, dtype=np.float64)
    return middles, np.asarray(counts / width_seconds, dtype=np.float64)


def _columns_together(completed: npt.NDArray[np.int64]) -> int:
    """How many columns make one point: so many that the gaps between two batches do not look like stalls."""
    used = np.flatnonzero(completed)
    if not used.size:
        return 1
    for together in _TOGETHER:
        points = completed[used[0] : used[-1] + 1]
        whole = points[: len(points) // together * together].reshape(-1, together).sum(axis=1)
        if np.count_nonzero(whole == 0) <= _MOST_EMPTY * len(whole):
            return together
    return _TOGETHER[-1]


def _rate_table(shown: int, lines: Mapping[int, Line], marks: Sequence[tuple[float, str]]) -> Table:
    seconds, rates = lines[shown]
    rows = [
        (seconds[at], formats.with_unit(float(seconds[at]), "s"), formats.with_unit(float(rates[at]), "tasks/s"), "")
        for at in thinned(len(seconds))
    ]
    rows += [(at, formats.with_unit(at, "s"), "", text) for at, text in marks]
    ordered = [row[1:] for row in sorted(rows, key=lambda row: row[0])]
    return table(f"Throughput and marks of repetition {shown}", ("at", "rate", "mark"), ordered)


def heat_map(repetition: Repetition, grid: TaskGrid) -> Plot | None:
    """Latency over time: how many tasks, by when they were completed and how long they took."""
    used = np.flatnonzero(grid.counts.sum(axis=0))
    if not used.size:
        return None
    low, high = int(used[0]), min(int(used[-1]) + 1, ROWS)
    counts = grid.counts[:, low:high].T
    edges_ms = row_floor_ns(np.arange(low, high + 1)) / NS_PER_MS
    times = np.arange(COLUMNS + 1) * grid.end_ns / COLUMNS / NS_PER_SECOND
    busy = np.flatnonzero(grid.completed)
    limits = [
        trace(
            name,
            [float(f"{at:.5g}") for at in grid.seconds[busy]],
            [float(f"{value / NS_PER_MS:.5g}") for value in values[busy]],
            line={"color": "@ink", "width": 1, "dash": dash},
        )
        for name, values, dash in (("highest", grid.highest_ns, "solid"), ("lowest", grid.lowest_ns, "dot"))
    ]
    title = "Cycle time over time"
    slowest = formats.duration_ns(float(grid.highest_ns.max()))
    return Plot(
        name="heat",
        title=title,
        described=f"{title}, repetition {repetition.index}, {int(grid.completed.sum()):,} tasks: at most {slowest}",
        caption=f"Repetition {repetition.index}: each cell the tasks completed then that took so long, the darker the "
        "more (logarithmic); the lines are the slowest and the fastest of each moment.",
        traces=(
            {
                "type": "heatmap", "name": "tasks",
                "x": [float(f"{at:.5g}") for at in times], "y": [float(f"{edge:.5g}") for edge in edges_ms],
                "z": [[None if n == 0 else round(float(np.log10(n)), 3) for n in row] for row in counts],
                "text": counts.tolist(), "hovertemplate": "%{x} s, %{y} ms: %{text} tasks<extra></extra>",
                "colorscale": "@heat", "showscale": False,
            },
            *limits,
        ),
        layout={"xaxis": axis("s since the repetition's origin"), "yaxis": axis("ms", type="log")},
        table=_heat_table(repetition.index, grid, busy),
    )  # fmt: skip


def _heat_table(index: int, grid: TaskGrid, busy: npt.NDArray[np.int64]) -> Table:
    rows = []
    for at in thinned(len(busy)):
        column = int(busy[at])
        cumulative = np.cumsum(grid.counts[column])
        quantiles = [
            min(
                float(row_floor_ns(np.searchsorted(cumulative, share * cumulative[-1]) + 1)),
                float(grid.highest_ns[column]),
            )
            for share in (0.5, 0.99)
        ]
        values = (float(grid.lowest_ns[column]), *quantiles, float(grid.highest_ns[column]))
        at_text = formats.with_unit(float(grid.seconds[column]), "s")
        rows.append((at_text, f"{int(cumulative[-1]):,}", *(formats.duration_ns(value) for value in values)))
    header = ("at", "tasks", "lowest", "p50 below", "p99 below", "highest")
    return table(f"Cycle times of repetition {index} over time", header, rows, 5)
