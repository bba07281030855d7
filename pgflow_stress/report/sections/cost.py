"""Cost of a task: what client and server spent, and whether that can be relied on."""

from __future__ import annotations

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json
from pgflow_stress.report import words
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import Cell, Marked, table

_ENDING = "_per_task"


def cost_view(subject: Subject) -> Json | None:
    """Every metric that is counted a task; None where none is."""
    rows: list[tuple[Cell, ...]] = []
    for name in subject.result.summary:
        found = words.estimate(subject.result, name)
        if name.endswith(_ENDING) and found.mean != formats.ABSENT:
            mean: Cell = found.mean if found.valid else Marked(f"{found.mean}*", "doubt")
            rows.append((name, mean, found.plus_minus, describe(name).description))
    caption = "Means over the counted repetitions; * is not to be relied on, see the key figures."
    return {"table": table(caption, ("cost", "a task", "95 %", "meaning"), rows, 2, more=1)} if rows else None
