"""Rules of the verdict about observers. What a rule reads beside the contract's keys is in its docstring."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.analysis.observing import Backlog, backlog_at_end, observed, was_observed
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_SECOND


def observer_kept_up(evidence: Evidence) -> Iterator[Finding]:
    """A flood: events were emitted faster than the observer took them, so a delivery latency is its place in a queue.

    It is one where events were pending at the window's end, more than before, and took the observer longer than
    `max_pending_seconds` from then on. Reads events["backlog"]; see `backlog_at_end`.
    """
    limits = evidence.limits
    behind: dict[int, Backlog] = {}
    for repetition in observed(evidence.repetitions):
        found = backlog_at_end(repetition)
        if (
            found is not None
            and found.pending >= limits.min_pending_events
            and found.seconds > limits.max_pending_seconds
            and found.growth >= limits.min_pending_growth
        ):
            behind[repetition.index] = found
    if behind:
        worst = max(behind.values(), key=lambda found: found.pending)
        lasts = f", {worst.seconds:.2g} s until they are received" if math.isfinite(worst.seconds) else ""
        yield Finding(
            f"flood: events piled up at the observer: {worst.pending:,} pending at the window's end{lasts} "
            f"({in_repetitions(behind)}); delivery latencies are of a backlog",
            evidence.timed_metrics("deliver"),
        )


def observer_was_there(evidence: Evidence) -> Iterator[Finding]:
    """Events of a time when the observer was away are late, or lost where its transport has no replay.

    Reads events["observer"]: {"gaps": [[from_ns, to_ns]] where there is no replay, "reconnects": int, "lost": str}.
    """
    touched = evidence.timed_metrics("deliver")
    watched = observed(evidence.repetitions)
    for repetition in watched:
        if why := _observer(repetition).get("lost"):
            yield Finding(f"the observer was lost ({in_repetitions([repetition.index])}): {why}", touched)
    away = {repetition.index: gaps for repetition in watched if (gaps := _gaps_in_window(repetition))}
    if away:
        lengths_ns = [to_ns - from_ns for gaps in away.values() for from_ns, to_ns in gaps]
        yield Finding(
            f"the observer was away: {len(lengths_ns)} gap{'s' if len(lengths_ns) > 1 else ''}, "
            f"{sum(lengths_ns) / NS_PER_SECOND:.2g} s ({in_repetitions(away)}); events of that time are late or lost",
            touched,
        )
    cut = {r.index: times for r in watched if (times := _reconnects_without_a_gap(r))}
    if cut:
        times = sum(cut.values())
        yield Finding(
            f"the observer was cut off: {times} time{'s' if times > 1 else ''} ({in_repetitions(cut)}); "
            "events of that time are late",
            touched,
        )


def _gaps_in_window(repetition: Repetition) -> list[tuple[int, int]]:
    """Those that ended after the first emitting statement was sent: before it nothing can be missed."""
    first = repetition.phases.get("execute")
    begin_ns = first.from_ns if first is not None and first.from_ns is not None else 0
    gaps = _observer(repetition).get("gaps") or ()
    return [(from_ns, to_ns) for from_ns, to_ns in gaps if to_ns >= begin_ns]


def _reconnects_without_a_gap(repetition: Repetition) -> int:
    observer = _observer(repetition)
    return 0 if observer.get("gaps") else int(observer.get("reconnects") or 0)


def observer_was_left_alone(evidence: Evidence) -> Iterator[Finding]:
    """A note: --observer-delay, for testing. Reads events["observer"]["delay_ms"]."""
    delays = {delay for r in evidence.repetitions if (delay := _observer(r).get("delay_ms"))}
    for delay_ms in sorted(delays):
        yield Finding(f"observer slowed by {delay_ms:g} ms an event")


def observing_changed_nothing(evidence: Evidence) -> Iterator[Finding]:
    """A note: to be notified, a trigger or a body of realtime.send is put in. Reads events["how"]."""
    changes = {r.events.get("how"): None for r in evidence.repetitions if r.events.get("transport") == "notify"}
    for how in changes:
        yield Finding(f"notify changes the system under test{f': {how}' if how else ''}")


def _observer(repetition: Repetition) -> Mapping[str, Any]:
    return (repetition.events.get("observer") or {}) if was_observed(repetition) else {}
