"""Rules of the verdict about loads that are offered by a schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.evidence import Evidence, Finding
from pgflow_stress.core.result import Repetition


def schedule_was_kept(evidence: Evidence) -> Iterator[Finding]:
    """A start that this process sent late is the client's fault, and its latency too.

    Reads client["schedule"]: {"lag_late_ns": {p99, mean}, "skipped": int, "started": int}. Compared are the means: how
    late the process was, to how long runs took.
    """
    most = evidence.limits.max_late_share
    late: dict[int, float] = {}
    for repetition in evidence.counted:
        share = late_share(repetition)
        if share is not None and share > most:
            late[repetition.index] = share
    if late:
        worst = max(late.values())
        which = ", ".join(map(str, late))
        yield Finding(
            f"the starters sent late by themselves, by {worst:.0%} of the mean response time, over {most:.0%} "
            f"(repetition {which}): client-bound",
            evidence.timed_metrics("start", "execute", "end_to_end"),
        )


def late_share(repetition: Repetition) -> float | None:
    """How late the starters sent by their own fault, of the mean response time; None where nothing is known of it."""
    lag, response = _late_ns(repetition), _response_ns(repetition)
    return lag / response if lag is not None and response else None


def every_run_was_started(evidence: Evidence) -> Iterator[Finding]:
    """A note: runs that --late skip left out were not offered. Reads client["schedule"]["skipped"]."""
    skipped = sum(int(_schedule(repetition).get("skipped") or 0) for repetition in evidence.repetitions)
    if skipped:
        yield Finding(f"{skipped:,} runs were skipped, being late: less was offered than asked for")


def schedule_words(repetitions: list[Repetition]) -> str:
    """How the schedule was kept, in one line; empty where nothing was scheduled."""
    kept = [(r, _schedule(r)) for r in repetitions if _schedule(r).get("offered_per_second")]
    if not kept:
        return ""
    started = sum(int(schedule["started"]) for _, schedule in kept)
    skipped = sum(int(schedule["skipped"]) for _, schedule in kept)
    busy, late = (max((schedule[name]["max"] or 0) for _, schedule in kept) for name in ("lag_busy_ns", "lag_late_ns"))
    return (
        f"{started:,} runs started, {skipped:,} skipped; late at most {formats.duration_ns(busy, 'ns', 2)} while every "
        f"starter was busy in the server, {formats.duration_ns(late, 'ns', 2)} by ourselves"
    )


def _schedule(repetition: Repetition) -> Mapping[str, Any]:
    return repetition.client.get("schedule") or {}


def _late_ns(repetition: Repetition) -> float | None:
    mean = (_schedule(repetition).get("lag_late_ns") or {}).get("mean")
    return None if mean is None else float(mean)


def _response_ns(repetition: Repetition) -> float | None:
    phase = repetition.phases.get("execute")
    return phase.latency_ns.mean if phase else None
