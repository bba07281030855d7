"""What a repetition says of its observer: whether there was one, and how far behind it was when the window ended."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_SECOND

NOBODY = "none"
NOT_YET = "not received yet"  # a difference: events that had not come when there was no more waiting


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an observer had before it when the window ended."""

    pending: int  # events emitted and not received then: an estimate
    seconds: float  # that it took for them, or would take; inf where it received nothing
    growth: float  # pending in the window's last quarter, to that in its first half; inf where nothing was then


def was_observed(repetition: Repetition) -> bool:
    """Whether an observer watched its events."""
    return str(repetition.events.get("transport", NOBODY)) != NOBODY


def observed(repetitions: Iterable[Repetition]) -> list[Repetition]:
    """Those that were observed and count; where none counts, all that were observed."""
    found = [repetition for repetition in repetitions if was_observed(repetition)]
    return [repetition for repetition in found if repetition.counted] or found


def backlog_at_end(repetition: Repetition) -> Backlog | None:
    """How far behind the observer was; None where that was not sampled.

    Reads events["backlog"]: {"seconds", "received", "events"}, lists of equal length, from the repetition's origin.
    The window is that of emission: from the first emitting statement to the end of end_to_end. In one that is too short
    for a sample the first after it stands in: nothing is emitted any more, so it is a lower bound. What never came was
    lost, and is nobody's backlog: of the events that a sample calls pending only those count that came later, or that
    would still have.
    """
    series = repetition.events.get("backlog") or {}
    whole, first = repetition.phases.get("end_to_end"), repetition.phases.get("execute")
    if whole is None or whole.to_ns is None or first is None or first.from_ns is None:
        return None
    begin, end = first.from_ns / NS_PER_SECOND, whole.to_ns / NS_PER_SECOND
    columns = [series.get(name) or () for name in ("seconds", "received", "events")]
    known = [row for row in zip(*columns, strict=False) if begin <= row[0] and None not in row]
    samples = [row for row in known if row[0] <= end] or known[:1]
    if not samples:
        return None
    at, received, estimated = samples[-1]
    early = [row[2] for row in samples[:-1] if row[0] <= (begin + end) / 2]
    late = [row[2] for row in samples if row[0] >= end - (end - begin) / 4] or [estimated]
    before = statistics.fmean(early) if early else 0.0
    unfinished = _not_received_yet(repetition)
    pending = min(estimated, sum((repetition.events.get("received") or {}).values()) - received + unfinished)
    return Backlog(
        pending=max(0, int(pending)),
        seconds=_seconds_to_receive(repetition, end, received / (at - begin) if at > begin else 0.0, unfinished),
        growth=statistics.fmean(late) / before if before else math.inf,
    )


def _not_received_yet(repetition: Repetition) -> int:
    """Events that were not waited for any longer."""
    differences = repetition.events.get("differences") or ()
    return sum(int(one["count"]) for one in differences if one["name"] == NOT_YET)


def _seconds_to_receive(repetition: Repetition, end: float, per_second: float, unfinished: int) -> float:
    """From the window's end to the last event received, and what is not received yet at the rate in the window."""
    deliver = repetition.phases.get("deliver")
    last = deliver.to_ns / NS_PER_SECOND if deliver is not None and deliver.to_ns is not None else end
    more = 0.0 if not unfinished else unfinished / per_second if per_second else math.inf
    return max(0.0, last - end) + more
