"""Events: should, stored, received; what differs; how late; how far behind the observer was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.observing import observed as counted_observed
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.report import event_words
from pgflow_stress.report.plots.backlog import backlog_plot
from pgflow_stress.report.sections.latency import LEAVES
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import Cell, Marked, pairs, table

_SHOWN_IDS = 10
_MOST_PLOTS = 6  # the last: warm-up comes first
_OBSERVER_COLUMNS = (
    "subscribed in", "CPU", "memory", "read", "most pending", "most log behind", "queue full", "gaps", "reconnects",
    "came again", "of others", "server's clock less ours",
)  # fmt: skip


def events_view(subject: Subject) -> Json | None:
    """What should have come, was stored, was received; None where nobody observed."""
    totals = event_words.event_totals(subject.result)
    if totals is None:
        return None
    watched = event_words.observed(subject.result)
    how = [(name, _text(watched[0].events.get(name))) for name in ("how", "realtime_send", "realtime_send_sha256")]
    differences = [row for repetition in watched for row in _differences(repetition)]
    latencies = _latencies(counted_observed(subject.result.repetitions))
    plots = [backlog_plot(repetition) for repetition in watched[-_MOST_PLOTS:]]
    return {
        "by_type": table(
            "Events of all observed repetitions by type, warm-up included; "
            f"observed by {watched[0].events['transport']}",
            ("type", "should", "stored", "received"),
            _rows(totals),
            3,
        ),
        "differences": table(
            "Differences: every kind, with its first offenders; result.json has them all",
            ("repetition", "difference", "which", "detail", "events"),
            differences,
            1,
        )
        if differences
        else None,
        "latencies": table(
            "Delivery: from the statement that caused an event sent, or from its commit by the server's clock "
            "(signed), to the event received; means over the counted repetitions",
            ("delivery", *LEAVES.values(), "samples"),
            latencies,
            len(LEAVES) + 1,
        )
        if latencies
        else None,
        "plots": [plot for plot in plots if plot is not None],
        "observers": table(
            "The observer by repetition",
            ("repetition", *_OBSERVER_COLUMNS),
            map(_observer, watched),
            len(_OBSERVER_COLUMNS),
        ),
        "how": pairs("What observing changed in the system under test", how),
    }


def _rows(totals: event_words.EventTotals) -> list[tuple[Cell, ...]]:
    return [
        _counts(kind, counts)
        for kind, counts in [*totals.by_type.items(), ("all", (totals.expected, totals.stored, totals.received))]
    ]


def _counts(kind: str, counts: tuple[int, int, int]) -> tuple[Cell, ...]:
    """What differs from what should be stands out."""
    agree = len(set(counts)) == 1
    return (kind, f"{counts[0]:,}", *(f"{n:,}" if agree else Marked(f"{n:,}", "doubt") for n in counts[1:]))


def _text(value: Any) -> str:
    return formats.ABSENT if value in (None, "") else str(value)


def _differences(repetition: Repetition) -> list[tuple[str, ...]]:
    return [
        (
            str(repetition.index),
            difference["name"],
            event_words.first_ids(difference.get("ids") or (), difference["count"], _SHOWN_IDS).removeprefix(": "),
            difference.get("detail") or "",
            f"{difference['count']:,}",
        )
        for difference in repetition.events.get("differences") or ()
    ]


def _latencies(repetitions: Sequence[Repetition]) -> list[tuple[str, ...]]:
    """A row a kind of delivery: means over the repetitions, absent where one of them lacks the value."""
    delivered = [repetition.events.get("delivery_ns") or {} for repetition in repetitions]
    types = dict.fromkeys(kind for delivery in delivered for kind in delivery.get("by_type") or {})
    rows = [
        ("from the call", [delivery.get("from_call") for delivery in delivered]),
        ("from the commit", [delivery.get("from_commit") for delivery in delivered]),
        *((f"{kind}, from the call", [(d.get("by_type") or {}).get(kind) for d in delivered]) for kind in types),
    ]
    return [_latency(title, found) for title, found in rows if any(one and one.get("count") for one in found)]


def _latency(title: str, found: Sequence[Mapping[str, Any] | None]) -> tuple[str, ...]:
    cells = []
    for leaf in LEAVES:
        values = [one.get(leaf) if one else None for one in found]
        present = [value for value in values if value is not None]
        whole = present and len(present) == len(values)
        cells.append(formats.duration_ns(sum(present) / len(present)) if whole else formats.ABSENT)
    return (title, *cells, f"{sum(int(one.get('samples') or 0) for one in found if one):,}")


def _observer(repetition: Repetition) -> tuple[str, ...]:
    """One row: what the observer needed, what happened to it, how far behind it was at most."""
    events = repetition.events
    observer, backlog = events.get("observer") or {}, events.get("backlog") or {}
    delivery, gaps = events.get("delivery_ns") or {}, observer.get("gaps") or ()
    away_ns = sum(to_ns - from_ns for from_ns, to_ns in gaps)
    offset, error = delivery.get("clock_offset_ns"), delivery.get("clock_error_ns")
    clock = formats.ABSENT if offset is None else f"{formats.duration_ns(offset)} ± {formats.duration_ns(error or 0)}"
    return (
        str(repetition.index),
        _as(formats.duration_ns, events.get("subscribe_ns")),
        _as(formats.duration_ns, observer.get("cpu_ns")),
        _as(formats.size, observer.get("rss_peak_bytes")),
        _as(formats.size, observer.get("bytes")),
        _as(formats.count, _most(backlog, "events")),
        _as(formats.size, _most(backlog, "lag_bytes")),
        _as(formats.share, _most(backlog, "queue_usage")),
        f"{len(gaps)}, {formats.duration_ns(away_ns)}" if gaps else "0",
        _as(formats.count, observer.get("reconnects")),
        _as(formats.count, observer.get("redelivered")),
        _as(formats.count, observer.get("foreign")),
        clock,
    )


def _as(write: Callable[[float], str], value: float | None) -> str:
    return formats.ABSENT if value is None else write(value)


def _most(backlog: Mapping[str, Any], name: str) -> float | None:
    """The highest of a series; None where it was not sampled (absent, null or -1)."""
    values = [value for value in backlog.get(name) or () if value is not None and value >= 0]
    return max(values, default=None)
