"""What was measured on."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report.repetition_words import flat
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import pairs


def environment_view(subject: Subject) -> Json:
    """The fingerprint, and each host that made load."""
    hosts = [pairs(f"Load host {number}", flat(host)) for number, host in enumerate(subject.result.hosts, 1)]
    return {"tables": [pairs("What was measured on", flat(subject.result.environment)), *hosts]}
