"""What `doctor` found, `pgflow-stress/doctor/1`: one line each on what is so, and on how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pgflow_stress.core.result import Json

SCHEMA = "pgflow-stress/doctor/1"


class Level(StrEnum):
    """How much a finding spoils numbers."""

    OK = "ok"
    WARN = "warn"  # makes them other numbers than one may think
    BAD = "bad"  # makes them untrustworthy


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    level: Level
    what: str  # one line
    mend: str = ""  # one line; empty where nothing is to be done


def ok(what: str) -> Finding:
    """Nothing to mend."""
    return Finding(Level.OK, what)


def warn(what: str, mend: str) -> Finding:
    """Numbers are other than one may think."""
    return Finding(Level.WARN, what, mend)


def bad(what: str, mend: str) -> Finding:
    """Numbers are not to be trusted."""
    return Finding(Level.BAD, what, mend)


@dataclass(frozen=True, slots=True)
class Checkup:
    """Every finding, by the name of its check, in order."""

    tool: Json
    target: str
    findings: Sequence[tuple[str, Finding]]

    @property
    def worst(self) -> Level:
        """The worst level of all; ok for none."""
        return worst(finding.level for _, finding in self.findings)

    def as_json(self) -> Json:
        """The document."""
        return {
            "schema": SCHEMA,
            "tool": self.tool,
            "target": self.target,
            "worst": str(self.worst),
            "findings": [
                {"name": name, "level": str(finding.level), "what": finding.what, "mend": finding.mend or None}
                for name, finding in self.findings
            ],
        }


def worst(levels: Iterable[Level]) -> Level:
    """The worst of several; ok for none."""
    order = list(Level)
    return max(levels, key=order.index, default=Level.OK)
