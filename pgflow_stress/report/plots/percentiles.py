"""Latency over percentile, the axis in nines: 1 / (1 - q), logarithmic, as HdrHistogram's tools plot it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgflow_stress.analysis import formats
from pgflow_stress.core import hdr
from pgflow_stress.core.latency import LEAST_SAMPLES_BEYOND
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.report.plots import Plot, axis, colour, label
from pgflow_stress.report.tables import Table, table

_LEVELS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
_TICKS = {1: "0 %", 2: "50 %", 10: "90 %", 100: "99 %", 1_000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %",
          1_000_000: "99.9999 %"}  # fmt: skip
_MOST_POINTS = 300  # of a curve: a screen shows no more


@dataclass(frozen=True, slots=True)
class Curve:
    """One distribution. `samples`: statements behind it; where fewer than 10 lie beyond, the curve is dashed."""

    name: str
    histogram: Histogram
    samples: int


def percentile_plot(name: str, title: str, curves: Sequence[Curve], caption: str) -> Plot:
    """The curves over each other.

    Args:
        name: of the plot.
        title: what the values are.
        curves: with at least one value each.
        caption: what to know when reading it.
    """
    medians = [f"{curve.name} median {_at(curve.histogram, 0.5)}" for curve in curves]
    return Plot(
        name=name,
        title=title,
        described=f"{title} by percentile: {'; '.join(medians)}",
        caption=caption,
        traces=tuple(trace for number, curve in enumerate(curves) for trace in _traces(number, curve)),
        layout={
            "xaxis": axis("percentile", type="log", tickvals=list(_TICKS), ticktext=list(_TICKS.values())),
            "yaxis": axis("ms", rangemode="tozero"),
            "hovermode": "closest",
            "showlegend": len(curves) > 1,
        },
        table=_table(title, curves),
    )


def _traces(number: int, curve: Curve) -> list[Json]:
    """Steps up to where ten samples lie beyond, dashed from there."""
    nines, values_ns = points(curve.histogram)
    trusted = max(1.0, curve.samples / LEAST_SAMPLES_BEYOND)
    split = int(np.searchsorted(nines, trusted, side="right"))
    common = {
        "type": "scatter",
        "mode": "lines",
        "legendgroup": str(number),
        "hovertemplate": "%{y:.4g} ms, 1 in %{x:.4g}",
    }
    parts = [
        (nines[:split], values_ns[:split], {}),
        (nines[max(0, split - 1) :], values_ns[max(0, split - 1) :], {"dash": "dot"}),
    ]
    return [
        {
            **common,
            "name": label(curve.name),
            "x": [float(f"{nine:.6g}") for nine in part_nines],
            "y": [float(f"{value / NS_PER_MS:.6g}") for value in part_values],
            "line": {"color": colour(number), "shape": "vh", "width": 2, **style},
            "showlegend": place == 0 or not split,
        }
        for place, (part_nines, part_values, style) in enumerate(parts)
        if len(part_nines) > 1 or (place == 0 and len(part_nines))
    ]


def points(
    histogram: Histogram,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """(1 / (1 - q), latency): each used bucket at the share up to it, thinned by pixels; lowest and highest stay."""
    used = np.flatnonzero(histogram.counts)
    cumulative = np.cumsum(histogram.counts[used])
    total = int(cumulative[-1])
    values = np.minimum(hdr.highest_of(used), histogram.max_ns)
    # The last bucket would be at infinity: drawn where one more value would have put it.
    nines = total / np.maximum(total - cumulative, 0.5)
    nines = np.concatenate([[1.0], nines])
    values = np.concatenate([values[:1], values])
    column = (np.log(nines) / max(float(np.log(nines[-1])), 1e-9) * _MOST_POINTS).astype(np.int64)
    keep = np.append(column[1:] != column[:-1], True)  # the highest of a column
    keep[0] = True
    return nines[keep], values[keep]


def _at(histogram: Histogram, fraction: float) -> str:
    return formats.duration_ns(min(hdr.percentile(histogram.counts, fraction), histogram.max_ns))


def _table(title: str, curves: Sequence[Curve]) -> Table:
    rows = []
    for level in _LEVELS:
        cells = [
            _at(curve.histogram, level) if curve.samples * (1 - level) >= LEAST_SAMPLES_BEYOND else formats.ABSENT
            for curve in curves
        ]
        if any(cell != formats.ABSENT for cell in cells):
            rows.append((f"{100 * level:.6g} %", *cells))
    rows.append(("highest", *(formats.duration_ns(curve.histogram.max_ns) for curve in curves)))
    return table(f"{title} by percentile", ("percentile", *(curve.name for curve in curves)), rows, len(curves))
