"""A count over time that piles up and goes down again: events pending at an observer."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.plots import Plot, axis, colour, merged, thinned, trace
from pgflow_stress.report.plots.marks import Mark, mark_layout
from pgflow_stress.report.tables import table

_MOST_POINTS = 400  # of a series: more than the picture has columns for


def backlog_plot(repetition: Repetition) -> Plot | None:
    """Events pending by sample; None where fewer than two samples know it."""
    backlog = repetition.events.get("backlog") or {}
    rows = zip(backlog.get("seconds") or (), backlog.get("events") or (), strict=False)
    points = [(float(at), float(value)) for at, value in rows if value is not None and at >= 0]
    if len(points) < 2:
        return None
    whole = repetition.phases.get("end_to_end")
    end = whole.to_ns / NS_PER_SECOND if whole is not None and whole.to_ns is not None else points[-1][0]
    title = f"Events pending at the observer, repetition {repetition.index}"
    kept = highest_by_column(points, max(end, points[-1][0]))
    most = formats.count(max(value for _, value in points))
    listed = [(formats.with_unit(points[at][0], "s"), formats.count(points[at][1])) for at in thinned(len(points))]
    return Plot(
        name=f"backlog-{repetition.index}",
        title=title,
        described=f"{title}: at most {most}",
        caption="Emitted and not received yet, estimated; marked where the window ends.",
        traces=(trace("pending", [at for at, _ in kept], [value for _, value in kept], line={"color": colour(0)}),),
        layout=merged(
            {"xaxis": axis("s since the repetition's origin"), "yaxis": axis("events", rangemode="tozero")},
            {"margin": {"t": 40}, "showlegend": False},
            mark_layout([Mark(end, "window ends")]),
        ),
        table=table(title, ("at", "events pending"), listed, 1),
        height=260,
    )


def highest_by_column(points: Sequence[tuple[float, float]], last: float) -> list[tuple[float, float]]:
    """At most a point a column of the picture, the highest of those in it: what piles up for a moment stays."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    highest: dict[int, tuple[float, float]] = {}
    for at, value in points:
        column = int(_MOST_POINTS * at / last) if last else 0
        if column not in highest or value > highest[column][1]:
            highest[column] = (at, value)
    return list(highest.values())
