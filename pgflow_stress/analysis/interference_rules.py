"""What interference means for the figures: notes, since whoever asked for it wants to see its effect."""

from __future__ import annotations

from collections.abc import Iterator

from pgflow_stress.analysis.evidence import Evidence, Finding


def interference_is_told(evidence: Evidence) -> Iterator[Finding]:
    """A note. Reads repetitions[].interference: {kinds: [{name, spec, took_hold}]}."""
    kinds = [kind for repetition in evidence.repetitions for kind in repetition.interference.get("kinds", ())]
    held = dict.fromkeys(str(kind["spec"]) for kind in kinds if kind["took_hold"])
    if held:
        yield Finding(
            f"interfered with on purpose ({', '.join(held)}): compare only with what was interfered with alike"
        )
    missed = dict.fromkeys(str(kind["spec"]) for kind in kinds if not kind["took_hold"])
    if missed:
        yield Finding(f"interference that did not take hold to the end, and explains nothing: {', '.join(missed)}")


def asked_for(evidence: Evidence, name: str) -> bool:
    """Whether a kind of interference was asked for."""
    return any(
        str(spec).partition("@")[0].partition(":")[0] == name for spec in evidence.parameters.get("interference", ())
    )
