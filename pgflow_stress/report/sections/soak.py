"""A soak: its verdict, the slopes with their intervals, and its course."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report.plots.soak import soak_plots
from pgflow_stress.report.soak_words import HEADER, full_lines, prune_lines, slope_rows, soak_of, verdict_words
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import table


def soak_view(subject: Subject) -> Json | None:
    """Lines, the slopes, plots; None where nothing was soaked."""
    soak, soaked = soak_of(subject.result), [one for one in subject.result.repetitions if one.soak]
    if soak is None or not soaked:
        return None
    unseen = [line for one in soaked for line in one.soak.get("unseen", ())]
    return {
        "headline": verdict_words(soak),
        "lines": [*soak["reasons"], *full_lines(soak), *(line for one in soaked for line in prune_lines(one))],
        "slopes": table(
            "Straight lines through the windows; intervals at 95 % for all that decide together, wider where windows "
            "that follow each other are alike",
            HEADER, slope_rows(soak), 6, more=1,
        ),
        "plots": soak_plots(soaked[-1]),
        "unseen": [f"not seen: {line}" for line in unseen],
    }  # fmt: skip
