"""Latency over time."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report.plots.timeline import heat_map
from pgflow_stress.report.subject import Subject


def heat_view(subject: Subject) -> Json | None:
    """The typical repetition's cycle times as a heat map; None where its timings are not there."""
    shown = subject.typical
    grid = subject.grids.get(shown.index) if shown else None
    plot = heat_map(shown, grid) if shown and grid else None
    return {"plots": [plot], "left_out": (shown.client.get("rows_left_out") or 0) if shown else 0} if plot else None
