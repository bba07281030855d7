"""What injected faults mean for the figures: notes, since whoever asked for them wants to see their effect."""

from __future__ import annotations

from collections.abc import Iterator

from pgflow_stress.analysis.evidence import Evidence, Finding


def faults_are_told(evidence: Evidence) -> Iterator[Finding]:
    """A note. Reads repetitions[].faults: {name, spec, took_hold}."""
    faults = [fault for repetition in evidence.repetitions for fault in repetition.faults]
    held = [fault for fault in faults if fault["took_hold"]]
    if held:
        names = ", ".join(dict.fromkeys(str(fault["name"]) for fault in held))
        yield Finding(f"disturbed on purpose: {len(held)} faults took hold ({names}); the rates are with them")
    if missed := len(faults) - len(held):
        yield Finding(f"{missed} of {len(faults)} faults did not take hold, and explain nothing")
