"""Several results side by side: their figures in one table, their distributions over each other."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import METRICS, describe
from pgflow_stress.core.result import Json
from pgflow_stress.report import words
from pgflow_stress.report.plots import Plot
from pgflow_stress.report.plots.percentiles import Curve, percentile_plot
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import Cell, Marked, table

OVERLAID = {"task": ("process", "Cycle time"), "execute": ("execute", "Response time, or time in a drained backlog")}
_LEFT_OUT = ("per_second_common", ".seconds", "rss_peak_bytes")
_MOST_CURVES = 8


def side_by_side_view(subjects: Sequence[Subject]) -> Json:
    """A column a result: verdict and every metric that one of them has; a plot a latency."""
    names = labels(subjects)
    return {
        "links": [
            (f"#r{number}", name, words.headline(subject.result))
            for number, (name, subject) in enumerate(zip(names, subjects, strict=True), 1)
        ],
        "table": table(
            "Means over the counted repetitions with 95 % confidence intervals; * is not to be relied on. "
            "For a verdict: pgflow-stress compare BASE CANDIDATE.",
            ("metric", *names),
            _rows(subjects),
            len(names),
        ),
        "plots": [
            plot
            for operation, (phase, title) in OVERLAID.items()
            if (plot := overlaid(operation, phase, title, names, subjects))
        ],
    }


def labels(subjects: Sequence[Subject]) -> list[str]:
    """The scenario's name, with a number where there are several of it."""
    names = [subject.name for subject in subjects]
    return [f"{number}: {name}" if len(set(names)) < len(names) else name for number, name in enumerate(names, 1)]


def _rows(subjects: Sequence[Subject]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = [("verdict", *(words.headline(subject.result) for subject in subjects))]
    found = dict.fromkeys(name for subject in subjects for name in subject.result.summary)
    known = [name for name in METRICS if name in found and not name.endswith(_LEFT_OUT)]
    for name in known:
        cells = [_cell(subject, name) for subject in subjects]
        if any(cell != formats.ABSENT for cell in cells):
            rows.append((describe(name).name, *cells))
    return rows


def _cell(subject: Subject, name: str) -> Cell:
    found = words.estimate(subject.result, name)
    if found.mean == formats.ABSENT or found.valid:
        return f"{found.mean} {found.plus_minus}".strip()
    return Marked(f"{found.mean}* {found.plus_minus}".strip(), "doubt")


def overlaid(operation: str, phase: str, title: str, names: Sequence[str], subjects: Sequence[Subject]) -> Plot | None:
    """The distributions of one operation over each other; None where fewer than two results have it."""
    pairs = list(zip(names, subjects, strict=True))[:_MOST_CURVES]
    curves = [curve for name, subject in pairs if (curve := curve_of(name, operation, phase, subject))]
    if len(curves) < 2:
        return None
    caption = "Counted repetitions of each together; dotted where fewer than 10 samples lie beyond."
    return percentile_plot(f"percentiles-{phase}", title, curves, caption)


def curve_of(name: str, operation: str, phase: str, subject: Subject) -> Curve | None:
    """One result's distribution of an operation; None where it was not recorded."""
    histogram = subject.histograms.get(operation)
    if histogram is None or not histogram.count:
        return None
    counted = (r for r in subject.result.repetitions if r.counted and phase in r.phases)
    return Curve(name, histogram, sum(r.phases[phase].latency_ns.samples for r in counted) or histogram.samples)
