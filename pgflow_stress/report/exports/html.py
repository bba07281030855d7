"""The HTML report of saved results."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.report.html import render_html
from pgflow_stress.report.saved import Saved
from pgflow_stress.report.subject import subject_of


def render(saved: Sequence[Saved]) -> str:
    """One page; plots are there where the results' histograms and timings are."""
    return render_html([subject_of(one) for one in saved])
