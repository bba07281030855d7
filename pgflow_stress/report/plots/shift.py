"""What a comparison shows: every metric's change with its interval, and how far each quantile moved."""

from __future__ import annotations

import numpy as np

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.comparison import Comparison, MetricComparison, Verdict
from pgflow_stress.core import hdr
from pgflow_stress.core.latency import LEAST_SAMPLES_BEYOND
from pgflow_stress.report.comparison import change, verdict_words
from pgflow_stress.report.plots import Plot, axis, colour, label
from pgflow_stress.report.plots.percentiles import Curve
from pgflow_stress.report.tables import table

_COLOURS = {Verdict.BETTER: "@good", Verdict.WORSE: "@bad", Verdict.EQUIVALENT: "@c1", Verdict.NO_DIFFERENCE: "@c1",
            Verdict.CANNOT_TELL: "@soft"}  # fmt: skip
_LEVELS = (0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999)


def interval_plot(one: Comparison) -> Plot | None:
    """Candidate over base, in percent, with its 95 % interval, a line a metric; None where nothing was computed."""
    shown = [metric for metric in one.metrics if metric.ratio is not None and metric.ci95 is not None]
    if not shown:
        return None
    within = 100 * one.question.within
    percents = [_percents(metric) for metric in shown]
    groups = dict.fromkeys(metric.verdict for metric in shown)
    traces = []
    for verdict in groups:
        own = [(m, p) for m, p in zip(shown, percents, strict=True) if m.verdict is verdict]
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": label(str(verdict)),
                "x": [p[0] for _, p in own], "y": [label(m.name) for m, _ in own],
                "marker": {"color": _COLOURS[verdict], "size": 9, "symbol": "diamond"},
                "error_x": {"type": "data", "symmetric": False, "array": [round(p[2] - p[0], 4) for _, p in own],
                            "arrayminus": [round(p[0] - p[1], 4) for _, p in own], "color": _COLOURS[verdict]},
                "hovertemplate": "%{y}: %{x:+.3g} %<extra></extra>",
            }
        )  # fmt: skip
    rows = [(metric.name, verdict_words(metric, one.question.within), change(metric)) for metric in shown]
    return Plot(
        name="intervals",
        title="Change of every metric",
        described="Change of every metric, 95 % intervals: " + "; ".join(f"{a} {c}, {b}" for a, b, c in rows[:6]),
        caption=f"Candidate over base, 95 % intervals; the band is ±{within:g} %. Whether up is better depends on the "
        "metric: the colour is the verdict's.",
        traces=tuple(traces),
        layout={
            "xaxis": axis("% change"),
            "yaxis": axis("", type="category", autorange="reversed", categoryorder="array",
                          categoryarray=[label(metric.name) for metric in shown]),
            "shapes": [
                {"type": "rect", "xref": "x", "yref": "paper", "x0": -within, "x1": within, "y0": 0, "y1": 1,
                 "line": {"width": 0}, "fillcolor": "rgba(128,128,128,0.18)"},
                {"type": "line", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1,
                 "line": {"color": "@soft", "width": 1}},
            ],
        },
        table=table("Change of every metric", ("metric", "verdict", "change (95 %)"), rows, 1),
        height=120 + 26 * len(shown),
    )  # fmt: skip


def _percents(metric: MetricComparison) -> tuple[float, float, float]:
    assert metric.ratio is not None
    assert metric.ci95 is not None
    estimate, low, high = (round(100 * (ratio - 1), 4) for ratio in (metric.ratio, *metric.ci95))
    return estimate, low, high


def shift_plot(name: str, title: str, base: Curve, candidate: Curve) -> Plot:
    """How far each quantile moved from base to candidate, in percent of the base's.

    Quantiles with fewer than 10 samples beyond them, on either side, are left out.
    """
    samples = min(base.samples, candidate.samples)
    levels = [level for level in _LEVELS if samples * min(level, 1 - level) >= LEAST_SAMPLES_BEYOND or level == 0.5]
    values = np.array(
        [hdr.percentiles(curve.histogram.counts, levels) for curve in (base, candidate)], dtype=np.float64
    )
    moved = 100 * (values[1] / np.maximum(values[0], 1) - 1)
    rows = [
        (f"{100 * level:g} %", *(formats.duration_ns(float(value)) for value in pair), f"{shift:+.3g} %")
        for level, pair, shift in zip(levels, values.T, moved, strict=True)
    ]
    return Plot(
        name=name,
        title=f"{title}: shift of quantiles",
        described=f"{title}, shift from base to candidate: " + "; ".join(f"p{row[0]} {row[3]}" for row in rows[::3]),
        caption="Candidate over base at each quantile, all counted repetitions of each together: it shows where the "
        "distribution moved; whether it did is the verdict's to say.",
        traces=(
            {
                "type": "scatter", "mode": "lines+markers", "name": "shift", "line": {"color": colour(0)},
                "x": [f"{100 * level:g} %" for level in levels], "y": [round(float(shift), 4) for shift in moved],
            },
        ),
        layout={"xaxis": axis("quantile", type="category"), "yaxis": axis("% change"), "showlegend": False},
        table=table(f"{title}: shift of quantiles", ("quantile", "base", "candidate", "change"), rows, 3),
        height=280,
    )  # fmt: skip
