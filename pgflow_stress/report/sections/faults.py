"""Faults: whether each took hold, how long it was felt, what was done again."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report.fault_words import HEADER, fault_rows, proof_rows, work_words
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import pairs, table


def faults_view(subject: Subject) -> Json | None:
    """Every fault with its recovery and its proof; None where none was asked for."""
    struck = [one for one in subject.result.repetitions if one.faults]
    if not struck:
        return None
    return {
        "lines": [f"repetition {one.index}: {work_words(one.work)}" for one in struck],
        "faults": table(
            "Injected faults; at: from the repetition's origin, times after it from the strike",
            HEADER,
            [row for one in struck for row in fault_rows(one)],
            4,
        ),
        "proofs": pairs("What shows that they took hold", [row for one in struck for row in proof_rows(one)]),
    }
