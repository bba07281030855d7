"""Audit and incidents: what was checked, what did not hold, what a reader must know of single repetitions."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Check, Json
from pgflow_stress.report import words
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import Cell, Marked, table

_MOST_IDS = 10


def audit_view(subject: Subject) -> Json:
    """Failed checks with their first offenders, and every incident."""
    repetitions = subject.result.repetitions
    failed = [(one.index, check) for one in repetitions for check in one.audit.checks if not check.ok]
    incidents = [(one.index, incident) for one in repetitions for incident in one.incidents]
    return {
        "lines": [words.accounted_for(subject.result), *words.audit_words(subject.result)[: 1 if failed else None]],
        "failed": table(
            "Checks that did not hold",
            ("repetition", "check", "which", "expected", "found"),
            [(index, check.name, first_ids(check), check.expected, check.found) for index, check in failed],
            2,
        )
        if failed
        else None,
        "incidents": table(
            "What a reader must know of single repetitions; at: from the repetition's origin",
            ("repetition", "kind", "subject", "detail", "at"),
            [(i, one.kind, one.subject, one.detail, formats.duration_ns(one.at_ns)) for i, one in incidents],
            1,
        )
        if incidents
        else None,
    }


def check_rows(checks: Sequence[Check]) -> list[tuple[Cell, ...]]:
    """A row a check: its name, whether it held, what was expected and found."""
    rows: list[tuple[Cell, ...]] = []
    for check in checks:
        ids = f" ({first_ids(check)})" if check.ids else ""
        held: Cell = "yes" if check.ok else Marked("NO", "failed")
        rows.append((check.name, held, str(check.expected), f"{check.found}{ids}"))
    return rows


def first_ids(check: Check) -> str:
    """The first offenders."""
    return ", ".join(check.ids[:_MOST_IDS]) + (", …" if len(check.ids) > _MOST_IDS else "")
