"""A comparison as a page: the verdict in words, intervals, distributions over each other, how far quantiles moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_stress.analysis.comparison import Comparison
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json
from pgflow_stress.report.comparison import (
    change,
    conclusion,
    detectable,
    differing,
    gate_words,
    method,
    probability,
    title,
    unable,
    verdict_words,
)
from pgflow_stress.report.document import placed, render_page
from pgflow_stress.report.plots import Plot
from pgflow_stress.report.plots.percentiles import Curve
from pgflow_stress.report.plots.shift import interval_plot, shift_plot
from pgflow_stress.report.side_by_side import OVERLAID, curve_of, overlaid
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import table

_SIDES = ("base", "candidate")


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, and what both sides recorded; without histograms there are no distributions."""

    comparison: Comparison
    base: Subject
    candidate: Subject


def render_comparison(found: Sequence[Compared]) -> str:
    """The page: a part a comparison.

    Raises:
        RunFailed: plotly's files are not there.
    """
    views: list[Json] = []
    figures: dict[str, Plot] = {}
    for number, one in enumerate(found, 1):
        view = _view(one, f"c{number}")
        figures |= placed(view["id"], view["plots"])
        views.append(view)
    names = dict.fromkeys(one.comparison.scenario for one in found)
    return render_page("comparison.html", f"pgflow-stress: {', '.join(names)} compared", figures, views=views)


def _view(found: Compared, place: str) -> Json:
    one = found.comparison
    within = one.question.within
    rows = [
        (
            f"{metric.name} (primary)" if metric.primary else metric.name,
            verdict_words(metric, within),
            describe(metric.name).format(metric.base),
            describe(metric.name).format(metric.candidate),
            change(metric),
            probability(metric.p_holm),
            detectable(metric),
        )
        for metric in one.metrics
        if metric.ratio is not None
    ]
    header = ("metric", "verdict", "base", "candidate", "change (95 %)", "p", "could have shown")
    return {
        "id": place,
        "title": title(one),
        "verdict": str(one.verdict),
        "sides": [
            (name, side.label, side.counted) for name, side in zip(_SIDES, (one.base, one.candidate), strict=True)
        ],
        "method": method(one),
        "conclusion": conclusion(one),
        "gates": [gate_words(gate) for gate in one.gates],
        "plots": _plots(found),
        "table": table("Every metric; p is corrected for their number (Holm)", header, rows, 5) if rows else None,
        "unable": unable(one),
        "differing": differing(one),
    }


def _plots(found: Compared) -> list[Plot]:
    plots = [plot for plot in [interval_plot(found.comparison)] if plot]
    subjects = (found.base, found.candidate)
    for operation, (phase, name) in OVERLAID.items():
        curves: list[Curve] = [
            curve
            for side, subject in zip(_SIDES, subjects, strict=True)
            if (curve := curve_of(side, operation, phase, subject))
        ]
        over = overlaid(operation, phase, name, _SIDES, subjects)
        if over and len(curves) == len(_SIDES):
            plots += [over, shift_plot(f"shift-{phase}", name, *curves)]
    return plots
