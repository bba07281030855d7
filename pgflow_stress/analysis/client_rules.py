"""The rule of the verdict that the client did not hold the rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.analysis.limiting import CLIENT_BOUND, client_signs
from pgflow_stress.core.result import MetricVerdict

_TOUCHED = ("process", "execute", "end_to_end")


def client_is_not_the_limit(evidence: Evidence) -> Iterator[Finding]:
    """A rate that the client held is the client's, not pgflow's. What was lost, and the audit, survive it."""
    if signs := client_signs(evidence):
        indexes = sorted({index for sign in signs for index in sign.shares})
        said = "; ".join(sign.text for sign in signs)
        yield Finding(f"{CLIENT_BOUND}: {said} ({in_repetitions(indexes)})", evidence.timed_metrics(*_TOUCHED))


def is_client_bound(metrics: Mapping[str, MetricVerdict]) -> bool:
    """Whether a verdict said so of the rate of tasks."""
    verdict = metrics.get("process.per_second")
    return verdict is not None and any(reason.startswith(CLIENT_BOUND) for reason in verdict.reasons)
