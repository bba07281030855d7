"""The report's section on events: should, stored, received; what differs; how late; how far behind the observer was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.observing import observed as counted_observed
from pgflow_stress.core.result import Json, Repetition, Result
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report import event_words
from pgflow_stress.report.svg import series_plot

_LEAVES = ("p50", "p90", "p95", "p99", "p999", "p9999", "max")
_SHOWN_IDS = 10
_MOST_PLOTS = 6  # the last: warm-up comes first
_OBSERVER_COLUMNS = (
    "subscribed in", "CPU", "memory", "read", "most pending", "most log behind", "queue full", "gaps", "reconnects",
    "came again", "of others", "server's clock less ours",
)  # fmt: skip


def events_view(result: Result) -> Json | None:
    """What the template shows; None where nobody observed."""
    totals = event_words.event_totals(result)
    if totals is None:
        return None
    watched = event_words.observed(result)
    return {
        "transport": watched[0].events["transport"],
        "how": [
            (name, _text(watched[0].events.get(name))) for name in ("how", "realtime_send", "realtime_send_sha256")
        ],
        "by_type": [(kind, *(f"{n:,}" for n in counts), len(set(counts)) == 1) for kind, counts in _rows(totals)],
        "differences": [row for repetition in watched for row in _differences(repetition)],
        "latencies": _latencies(counted_observed(result.repetitions)),
        "observer_columns": _OBSERVER_COLUMNS,
        "observers": [_observer(repetition) for repetition in watched],
        "plots": [plot for repetition in watched[-_MOST_PLOTS:] for plot in _backlog(repetition)],
    }


def _rows(totals: event_words.EventTotals) -> list[tuple[str, tuple[int, int, int]]]:
    return [*totals.by_type.items(), ("all", (totals.expected, totals.stored, totals.received))]


def _text(value: Any) -> str:
    return formats.ABSENT if value in (None, "") else str(value)


def _differences(repetition: Repetition) -> list[Json]:
    return [
        {
            "repetition": repetition.index,
            "name": difference["name"],
            "count": f"{difference['count']:,}",
            "ids": event_words.first_ids(difference.get("ids") or (), difference["count"], _SHOWN_IDS).removeprefix(
                ": "
            ),
            "detail": difference.get("detail") or "",
        }
        for difference in repetition.events.get("differences") or ()
    ]


def _latencies(repetitions: Sequence[Repetition]) -> list[Json]:
    """A row a kind of delivery: means over the repetitions, absent where one of them lacks the value."""
    delivered = [repetition.events.get("delivery_ns") or {} for repetition in repetitions]
    types = dict.fromkeys(kind for delivery in delivered for kind in delivery.get("by_type") or {})
    rows = [
        ("from the call", [delivery.get("from_call") for delivery in delivered]),
        ("from the commit", [delivery.get("from_commit") for delivery in delivered]),
        *((f"{kind}, from the call", [(d.get("by_type") or {}).get(kind) for d in delivered]) for kind in types),
    ]
    return [_latency(title, found) for title, found in rows if any(one and one.get("count") for one in found)]


def _latency(title: str, found: Sequence[Mapping[str, Any] | None]) -> Json:
    cells = []
    for leaf in _LEAVES:
        values = [one.get(leaf) if one else None for one in found]
        present = [value for value in values if value is not None]
        whole = present and len(present) == len(values)
        cells.append(formats.duration_ns(sum(present) / len(present)) if whole else formats.ABSENT)
    return {"title": title, "cells": cells, "samples": f"{sum(int(one.get('samples') or 0) for one in found if one):,}"}


def _observer(repetition: Repetition) -> Json:
    """One row: what the observer needed, what happened to it, how far behind it was at most."""
    events = repetition.events
    observer, backlog = events.get("observer") or {}, events.get("backlog") or {}
    delivery, gaps = events.get("delivery_ns") or {}, observer.get("gaps") or ()
    away_ns = sum(to_ns - from_ns for from_ns, to_ns in gaps)
    offset, error = delivery.get("clock_offset_ns"), delivery.get("clock_error_ns")
    clock = formats.ABSENT if offset is None else f"{formats.duration_ns(offset)} ± {formats.duration_ns(error or 0)}"
    cells = [
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
    ]
    return {"repetition": repetition.index, "cells": cells}


def _as(write: Callable[[float], str], value: float | None) -> str:
    return formats.ABSENT if value is None else write(value)


def _most(backlog: Mapping[str, Any], name: str) -> float | None:
    """The highest of a series; None where it was not sampled (absent, null or -1)."""
    values = [value for value in backlog.get(name) or () if value is not None and value >= 0]
    return max(values, default=None)


def _backlog(repetition: Repetition) -> list[Json]:
    backlog = repetition.events.get("backlog") or {}
    rows = zip(backlog.get("seconds") or (), backlog.get("events") or (), strict=False)
    points = [(at, value) for at, value in rows if value is not None]
    if len(points) < 2:
        return []
    whole = repetition.phases.get("end_to_end")
    end_ns = whole.to_ns if whole is not None else None
    end = end_ns / NS_PER_SECOND if end_ns is not None else points[-1][0]
    title = f"Events pending at the observer, repetition {repetition.index}"
    seconds, values = zip(*points, strict=True)
    return [{"title": title, "svg": series_plot(seconds, values, end, title)}]
