"""The HTML report of saved results."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.report.html import render_html
from pgflow_stress.report.saved import Saved


def render(saved: Sequence[Saved]) -> str:
    """One page; plots are there where the results' histograms are."""
    return render_html([(one.result, one.histograms()) for one in saved])
