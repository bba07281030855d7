"""Interference: whether each took hold, what a bystander felt, how long until it was over."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report.interference_words import HEADER, SPAN_HEADER, kind_proofs, kind_rows, span_rows
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import pairs, table


def interference_view(subject: Subject) -> Json | None:
    """Every kind with its proof, and the bystander's updates; None where none was asked for."""
    interfered = [one for one in subject.result.repetitions if one.interference]
    if not interfered:
        return None
    return {
        "kinds": table(
            "Interference; from and to: from the repetition's origin, before which it had begun where that is negative",
            HEADER, [row for one in interfered for row in kind_rows(one)],
        ),
        "spans": table(
            "Updates of the bystander's table, each from sent to answered: no part of pgflow, on the same server",
            SPAN_HEADER, [row for one in interfered for row in span_rows(one)], 7,
        ),
        "proofs": pairs("What shows that each took hold", [row for one in interfered for row in kind_proofs(one)]),
    }  # fmt: skip
