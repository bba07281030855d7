"""Resources, what backends waited for, what upkeep was seen at work."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report import telemetry
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import table


def telemetry_view(subject: Subject) -> Json | None:
    """Tables of waits and processes, and lines; None where nothing was sampled."""
    view = telemetry.telemetry_view(subject.result)
    if view is None:
        return None
    waits = [(role, event, share) for role, events in view["waits"] for event, share in events]
    processes = [(row["role"], row["repetition"], *row["cells"], row["since"]) for row in view["processes"]]
    header = ("role", "repetition", *(meaning for _, meaning in view["columns"]), "peak since")
    return {
        **view,
        "waits": table(
            "What backends waited for, by the role of whoever drives them: shares of the samples, means over the "
            "counted repetitions; CPU waited for nothing",
            ("role", "event", "share"), waits, 1,
        ),
        "processes": table(
            "What processes used from the first reading to the last; peaks are the kernel's",
            header, processes, len(view["columns"]), more=1,
        ),
    }  # fmt: skip
