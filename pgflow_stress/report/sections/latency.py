"""Latencies: each phase's percentiles, and the distributions, corrected and not."""

from __future__ import annotations

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import PHASES
from pgflow_stress.core.latency import merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json
from pgflow_stress.report import words
from pgflow_stress.report.plots import Plot
from pgflow_stress.report.plots.percentiles import Curve, percentile_plot
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import table

LEAVES = {
    "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p999": "p99.9", "p9999": "p99.99", "max": "max",
}  # fmt: skip
_DELIVERIES = "deliver_"  # histograms of events, one a type
_CAPTION = "Counted repetitions together; dotted where fewer than 10 samples lie beyond."
_CORRECTED = (
    " Corrected: from when a run was due; uncorrected: from its start_flow sent, which hides the wait before it."
)


def latency_view(subject: Subject) -> Json:
    """The table, and a plot of each latency whose histogram is there."""
    rows = []
    for phase in PHASES:
        cells = [words.estimate(subject.result, f"{phase}.latency_ns.{leaf}").mean for leaf in LEAVES]
        if phase != "end_to_end" and any(cell != formats.ABSENT for cell in cells):
            title = words.latency_title(phase, subject.result.load_model)
            rows.append((title, *cells, f"{_samples(subject, phase):,}"))
    caption = "Means of each repetition's percentile; a percentile with fewer than 10 samples beyond it is left out."
    header = ("latency", *LEAVES.values(), "samples")
    return {"table": table(caption, header, rows, len(header) - 1), "plots": distributions(subject)}


def distributions(subject: Subject) -> list[Plot]:
    """A plot of each latency whose histogram is there."""
    model, histograms = subject.result.load_model, subject.histograms
    found: dict[str, list[tuple[str, Histogram | None]]] = {
        "process": [(words.latency_title("process", model), histograms.get("task"))],
        "execute": [(words.latency_title("execute", model), histograms.get("execute"))],
        "deliver": [("delivery", merge(one for name, one in histograms.items() if name.startswith(_DELIVERIES)))],
    }
    service = histograms.get("execute_service")
    corrected = service is not None and service.count > 0
    if corrected:
        found["execute"] = [("corrected", histograms.get("execute")), ("uncorrected", service)]
    plots = []
    for phase, parts in found.items():
        curves = [
            Curve(name, one, _samples(subject, phase) or one.samples)
            for name, one in parts
            if one is not None and one.count
        ]
        if curves:
            title = words.latency_title(phase, model)
            caption = _CAPTION + (_CORRECTED if phase == "execute" and corrected else "")
            plots.append(percentile_plot(f"percentiles-{phase}", title.capitalize(), curves, caption))
    return plots


def _samples(subject: Subject, phase: str) -> int:
    """Statements that timed a phase, over the counted repetitions."""
    return sum(
        r.phases[phase].latency_ns.samples for r in subject.result.repetitions if r.counted and phase in r.phases
    )
