"""Time budget by phase."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report.plots.budget import budget_plot
from pgflow_stress.report.repetition_words import repetition_label
from pgflow_stress.report.subject import Subject


def budget_view(subject: Subject) -> Json | None:
    """A bar a phase; None where nothing happened."""
    plot = budget_plot(subject.looked_at, [repetition_label(one) for one in subject.looked_at])
    return {"plots": [plot]} if plot else None
