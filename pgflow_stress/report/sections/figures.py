"""Key figures with their intervals, and each repetition's rate beside them."""

from __future__ import annotations

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json
from pgflow_stress.report import words
from pgflow_stress.report.repetition_words import repetition_label
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.svg import Bar, bars
from pgflow_stress.report.tables import Cell, Marked, table

_SHOWN = (
    *(f"{phase}.per_second" for phase in ("execute", "process", "steady", "end_to_end", "start", "create", "deliver")),
    "client.cpu_ns_per_task",
    "client.utilization",
    "client.host.busy_share",
    "server.cpu_ns_per_task",
    "server.wal_bytes_per_task",
)


def figures_view(subject: Subject) -> Json:
    """A row a metric that was measured; a bar a repetition."""
    result = subject.result
    rows: list[tuple[Cell, ...]] = []
    for name in _SHOWN:
        found = words.estimate(result, name)
        if found.mean != formats.ABSENT:
            mean: Cell = found.mean if found.valid else Marked(f"{found.mean}*", "doubt")
            why = f" ({'; '.join(found.reasons)})" if found.reasons else ""
            rows.append((name, mean, found.plus_minus, describe(name).description + why))
    strip = []
    for one in result.repetitions:
        rate = one.phases["process"].per_second if "process" in one.phases else None
        text = describe("process.per_second").format(rate)
        strip.append(Bar(repetition_label(one), rate or 0.0, text, one.counted))
    return {
        "table": table(
            "Means over the counted repetitions with 95 % confidence intervals. "
            "A figure with * is not to be relied on, for the reason that follows its meaning.",
            ("metric", "mean", "95 %", "meaning"),
            rows,
            numbers=2,
            more=1,
        ),
        "strip": bars(strip, "Process throughput by repetition"),
    }
