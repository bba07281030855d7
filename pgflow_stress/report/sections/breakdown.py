"""Where a run's response time went."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report import breakdown
from pgflow_stress.report.subject import Subject


def breakdown_view(subject: Subject) -> Json | None:
    """The hops along the critical path; None where no run could be broken down."""
    return breakdown.breakdown_view(subject.result)
