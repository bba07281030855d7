"""Throughput over time, with what happened meanwhile."""

from __future__ import annotations

from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.report.plots.timeline import throughput_plot
from pgflow_stress.report.subject import Subject


def throughput_view(subject: Subject) -> Json | None:
    """The typical repetition's rate with its marks; None where neither rows nor bins know it."""
    shown = subject.typical
    if shown is None:
        return None
    plot = throughput_plot(shown, [one for one in subject.looked_at if one is not shown], subject.grids)
    return {"plots": [plot], "upkeep": _upkeep(subject.looked_at)} if plot else None


def _upkeep(repetitions: tuple[Repetition, ...]) -> list[str]:
    """What the server did beside the load: counted, its moments not known."""
    said = []
    for one in repetitions:
        parts = [f"{n} checkpoints begun" for n in [one.server.get("checkpoints")] if n]
        for name, what in (("autovacuums", "autovacuum"), ("autoanalyzes", "autoanalyze")):
            parts += [f"{what} of {table} ({n})" for table, n in (one.server.get(name) or {}).items()]
        if parts:
            said.append(f"repetition {one.index}: {', '.join(parts)}")
    return said
