"""A soak over time: rate, response times, what is kept and what is dead, with a mark where a job of retention ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND
from pgflow_stress.report.plots import Plot, axis, colour, thinned, trace
from pgflow_stress.report.tables import table

_BYTES_PER_MIB = float(1 << 20)
_MOST_MARKS = 100
# name: (title, axis, [(what, where, column, divisor)])
_PLOTS: dict[str, tuple[str, str, tuple[tuple[str, str, str, float], ...]]] = {
    "rate": ("Tasks completed a second", "tasks/s", (("rate", "windows", "tasks_per_second", 1.0),)),
    "response": (
        "Response time of runs", "ms",
        (("p50", "windows", "response_p50_ns", NS_PER_MS), ("p99", "windows", "response_p99_ns", NS_PER_MS)),
    ),
    "rows": ("Rows", "rows", (("live", "readings", "rows_live", 1.0), ("dead", "readings", "rows_dead", 1.0))),
    "size": (
        "Size of tables and indexes", "MiB",
        (
            ("tables", "readings", "table_bytes", _BYTES_PER_MIB),
            ("indexes", "readings", "index_bytes", _BYTES_PER_MIB),
        ),
    ),
}  # fmt: skip


def soak_plots(repetition: Repetition) -> list[Plot]:
    """One a group of quantities; those without a value are left out."""
    plots = (_plot(name, repetition) for name in _PLOTS)
    return [plot for plot in plots if plot is not None]


def _plot(name: str, repetition: Repetition) -> Plot | None:
    title, unit, parts = _PLOTS[name]
    soak = repetition.soak
    lines = {}
    for what, where, column_name, by in parts:
        column = (soak.get(where) or {}).get(column_name) or ()
        if any(value is not None for value in column):
            lines[what] = (_times(soak, where), [None if v is None else float(f"{v / by:.5g}") for v in column])
    if not lines:
        return None
    traces = tuple(
        trace(what, times, values, line={"color": colour(number), "width": 2})
        for number, (what, (times, values)) in enumerate(lines.items())
    )
    return Plot(
        name=name,
        title=title,
        described=f"{title} over the soak, {len(next(iter(lines.values()))[0])} points",
        caption="Dotted: a job of retention began." if _prunes(soak) else "",
        traces=traces,
        layout={
            "xaxis": axis("s since the repetition's origin", rangemode="tozero"),
            "yaxis": axis(unit, rangemode="tozero"),
            "legend": {"orientation": "h", "y": -0.3},
            "shapes": _marks(soak),
        },
        table=_table(title, unit, lines),
        height=260,
    )


def _times(soak: Json, where: str) -> list[float]:
    if where == "readings":
        return [float(at) for at in (soak.get("readings") or {}).get("seconds") or ()]
    windows = soak.get("windows") or {}
    begins, lengths = windows.get("from_seconds", ()), windows.get("seconds", ())
    return [begin + length / 2 for begin, length in zip(begins, lengths, strict=True)]


def _prunes(soak: Json) -> list[float]:
    return [one["at_ns"] / NS_PER_SECOND for prune in soak.get("prunes", ()) for one in prune["each"]][:_MOST_MARKS]


def _marks(soak: Json) -> list[Json]:
    return [
        {
            "type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1,
            "line": {"color": "@soft", "width": 1, "dash": "dot"},
        }
        for at in _prunes(soak)
    ]  # fmt: skip


def _table(title: str, unit: str, lines: dict[str, tuple[list[float], list[float | None]]]) -> Any:
    times: Sequence[float] = next(iter(lines.values()))[0]
    rows = [
        (f"{times[at]:.5g} s", *("-" if values[at] is None else f"{values[at]:,.5g}" for _, values in lines.values()))
        for at in thinned(len(times))
    ]
    return table(title, ("at", *(f"{what}, {unit}" for what in lines)), rows, len(lines))
