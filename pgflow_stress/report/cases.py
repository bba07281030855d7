"""What a result was held against, as cases that passed, failed or could not be decided: for CI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Result
from pgflow_stress.report import words

Outcome = Literal["passed", "failed", "undecided"]
_GATE: dict[bool | None, Outcome] = {True: "passed", False: "failed", None: "undecided"}


@dataclass(frozen=True, slots=True)
class Case:
    """One of them. `kind` is `verdict`, `threshold`, `audit` or `run`; `told` is one line, `detail` may be more."""

    kind: str
    name: str
    outcome: Outcome
    told: str = ""
    detail: str = ""


def cases_of(result: Result) -> list[Case]:
    """The verdict, each threshold, each check of each repetition's audit, and how the run ended."""
    return [_verdict(result), *_thresholds(result), *_checks(result), *_endings(result)]


def _verdict(result: Result) -> Case:
    """Not valid is not wrong unless --strict made it so."""
    if result.verdict.valid:
        return Case("verdict", "valid for its purpose", "passed")
    strict = ExitCode.INVALID in (result.outcome.get("codes") or ())
    told = f"{words.headline(result)}: {'; '.join(result.verdict.reasons)}"
    return Case("verdict", "valid for its purpose", "failed" if strict else "undecided", told)


def _thresholds(result: Result) -> Iterator[Case]:
    for gate, told in zip(result.outcome.get("gates") or (), words.gates(result.outcome), strict=True):
        yield Case("threshold", str(gate["text"]), _GATE[gate.get("held")], told)


def _checks(result: Result) -> Iterator[Case]:
    for repetition in result.repetitions:
        for check in repetition.audit.checks:
            told = f"expected {check.expected}, found {check.found}"
            name = f"repetition {repetition.index}: {check.name}"
            yield Case("audit", name, "passed" if check.ok else "failed", told, "\n".join((told, *check.ids)))


def _endings(result: Result) -> Iterator[Case]:
    """Codes that no case above stands for: the run failed, timed out, was interrupted."""
    told_above = {ExitCode.DONE, ExitCode.INVALID, ExitCode.GATE_FAILED, ExitCode.CHECK_FAILED}
    others = [code for code in result.outcome.get("codes") or () if code not in told_above]
    reasons = "; ".join(str(reason) for reason in result.outcome.get("reasons") or ())
    yield Case("run", "ran to its end", "failed" if others else "passed", reasons or "ended early")
