"""report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Result


def render_html(results: Sequence[tuple[Result, Mapping[str, Histogram]]]) -> str:
    """Stub."""
    return f"<!doctype html><title>{results[0][0].scenario['name']}</title>"
