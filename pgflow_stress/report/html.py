"""report.html: one result or several on one page, section by section (report.sections)."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Json, Result
from pgflow_stress.report import client_words, event_words, words
from pgflow_stress.report.document import placed, render_page
from pgflow_stress.report.interference_words import interference_lines
from pgflow_stress.report.plots import Plot
from pgflow_stress.report.sections import SECTIONS
from pgflow_stress.report.side_by_side import labels, side_by_side_view
from pgflow_stress.report.soak_words import soak_lines
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.telemetry import telemetry_lines

# What stands in large figures above all else, where it was measured.
_TILES = (
    ("execute.per_second", "throughput, first start to last completion"),
    ("process.per_second", "throughput, first poll to last completion"),
    ("process.latency_ns.p50", "cycle time p50"),
    ("process.latency_ns.p99", "cycle time p99"),
    ("execute.latency_ns.p50", ""),
)


def render_html(subjects: Sequence[Subject]) -> str:
    """The page. Of several results it begins with one table and the distributions of all of them.

    Raises:
        RunFailed: plotly's files are not there.
    """
    views: list[Json] = []
    figures: dict[str, Plot] = {}
    for number, (title, subject) in enumerate(zip(labels(subjects), subjects, strict=True), 1):
        view, plots = _view(subject, title, f"r{number}")
        views.append(view)
        figures |= plots
    together = side_by_side_view(subjects) if len(subjects) > 1 else None
    if together:
        figures |= placed("together", together["plots"])
    names = dict.fromkeys(subject.name for subject in subjects)
    heading = f"pgflow-stress: {', '.join(names)}"
    return render_page("result.html", heading, figures, views=views, together=together)


def _view(subject: Subject, title: str, prefix: str) -> tuple[Json, dict[str, Plot]]:
    sections: list[Json] = []
    figures: dict[str, Plot] = {}
    for name, section in SECTIONS.items():
        view = section.view(subject)
        if view is not None:
            place = f"{prefix}-{name}"
            figures |= placed(place, view.get("plots", ()))
            sections.append({"id": place, "name": name, "title": section.title, "view": view})
    return {"id": prefix, "title": title, "sections": sections, **_overview(subject)}, figures


def _overview(subject: Subject) -> Json:
    """Is it valid, how fast, what limited it, was anything lost, what next."""
    result = subject.result
    told = {
        "Limited by": [words.limited_by(result)],
        "Client probe": client_words.probe_lines(result.outcome),
        "Accounted for": [
            words.accounted_for(result),
            *client_words.failure_lines(result.outcome),
            *words.audit_words(result),
        ],
        "Events": event_words.event_lines(result),
        "Observer costs": event_words.cost_lines(result.outcome),
        "Interference": interference_lines(result),
        "Soak": soak_lines(result),
        "Used": telemetry_lines(result),
        "Telemetry costs": event_words.cost_lines(result.outcome, "telemetry_cost", "telemetry"),
        "Thresholds": words.gates(result.outcome),
        "Ended": words.endings(result.outcome) if result.outcome else [],
        "Try next": words.next_steps(result),
        "Read it as": words.labels(result),
    }
    return {
        "setting": words.setting(result),
        "headline": words.headline(result),
        "reasons": result.verdict.reasons,
        "tiles": _tiles(result),
        "told": {name: lines for name, lines in told.items() if lines},
    }


def _tiles(result: Result) -> list[Json]:
    shown = []
    for name, what in _TILES:
        found = words.estimate(result, name)
        if found.mean != formats.ABSENT:
            title = what or f"{words.latency_title('execute', result.load_model)} p50"
            shown.append({"metric": name, "what": title, "estimate": found})
    return shown
