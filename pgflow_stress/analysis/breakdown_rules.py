"""The breakdown of a run's response time: what it gives the summary, and the rule that it adds up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.core.critical_path import HOPS

PREFIX = "breakdown."


def breakdown_metrics(breakdown: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Each hop's mean over all runs and over those of the tail (None where they are too few); nothing without runs.

    Args:
        breakdown: client["breakdown"] of a repetition.
    """
    if not breakdown.get("runs"):
        return
    tail = breakdown.get("tail") or {"mean_ns": {}}
    for hop in HOPS:
        if hop in breakdown["mean_ns"]:
            yield f"{PREFIX}{hop}_ns.mean", breakdown["mean_ns"][hop]
            yield f"{PREFIX}{hop}_ns.tail", tail["mean_ns"].get(hop)
    yield f"{PREFIX}response_ns.mean", breakdown["response_ns"]
    yield f"{PREFIX}response_ns.tail", tail.get("response_ns")
    if delivery := breakdown.get("delivery"):
        yield f"{PREFIX}delivery_ns.mean", delivery["mean_ns"]
        yield f"{PREFIX}delivery_ns.tail", delivery["tail_ns"]
    yield f"{PREFIX}residual_share", breakdown["residual_share"]


def breakdown_adds_up(evidence: Evidence) -> Iterator[Finding]:
    """The hops add up to the response time but for a small part.

    What is left are stamps that contradict the order of causes: a client that read an answer late, when another had
    already gone on from it. Reads client["breakdown"]: {"residual_share": float}.
    """
    most = evidence.limits.max_breakdown_residual
    shares = {r.index: (r.client.get("breakdown") or {}).get("residual_share") for r in evidence.counted}
    off = {index: share for index, share in shares.items() if share is not None and share > most}
    if off:
        yield Finding(
            f"the breakdown does not add up: {formats.share(max(off.values()))} of the response time left over, "
            f"over {formats.share(most)} ({in_repetitions(off)})",
            frozenset(name for name in evidence.summary if name.startswith(PREFIX)),
        )
