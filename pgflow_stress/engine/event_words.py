"""A repetition's events as the result has them: the counts, the differences, delivery, and how the observer fared."""

from __future__ import annotations

from dataclasses import asdict

from pgflow_stress.core.arena import Arena, Int64s, Word
from pgflow_stress.core.events import EVENT_TYPES
from pgflow_stress.core.latency import latency_of, merge, signed_latency_of
from pgflow_stress.core.operations import DELIVERIES, OPERATION_NAMES, Operation
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_MS
from pgflow_stress.engine.event_accounts import EventFindings, gaps_of
from pgflow_stress.engine.observation import Observation
from pgflow_stress.engine.observer_samples import series
from pgflow_stress.engine.realtime_answers import counted
from pgflow_stress.engine.sizing import observer_regions


def describe_events(
    arena: Arena,
    observation: Observation,
    findings: EventFindings | None,
    histograms: dict[str, Histogram],
    origin_ns: int,
) -> Json:
    """The repetition's `events`; without findings (the database was unreachable) all counts are of nothing.

    Args:
        histograms: of all processes, by operation name.
        origin_ns: the repetition's, CLOCK_MONOTONIC.
    """
    found = findings or EventFindings({}, {}, {}, 0, 0, 0, ())
    words = arena.words[list(observer_regions(arena.size))]
    subscription = observation.subscription
    samples = arena.samples[: int(words[:, Word.SAMPLES].max())]
    return {
        "transport": observation.transport,
        "realtime_send": subscription.realtime_send["mode"],
        "realtime_send_sha256": subscription.realtime_send["body_sha256"],
        "how": subscription.how,
        "accounted": findings is not None,
        "expected": found.expected,
        "stored": found.stored,
        "received": found.received,
        "missing": found.missing,
        "duplicate": found.duplicate,
        "unexpected": found.unexpected,
        "differences": [
            {"name": one.name, "count": one.count, "ids": list(one.ids), "detail": one.detail}
            for one in found.differences
        ],
        "warnings": int(arena.words[:, Word.WARNINGS].sum()),
        "subscribe_ns": observation.subscribe_ns,
        "delivery_ns": _delivery(words, histograms),
        "observer": {
            "cpu_ns": int(words[:, Word.OBSERVER_CPU_NS].sum()),
            "rss_peak_bytes": int(words[:, Word.RSS_PEAK_BYTES].max()),
            "reconnects": int(words[:, Word.RECONNECTS].sum()),
            "redelivered": int(words[:, Word.REDELIVERED].sum()),
            "foreign": int(words[:, Word.RECEIVED_FOREIGN].sum()),
            "untimed": int(words[:, Word.RECEIVED_UNTIMED].sum()),
            "bytes": int(words[:, Word.RECEIVED_BYTES].sum()),
            "delay_ms": observation.delay_ns / NS_PER_MS,
            "strays_left_out": int(words[:, Word.STRAYS_LEFT_OUT].sum()),
            "gaps": [[begin - origin_ns, end - origin_ns] for begin, end in gaps_of(arena)],
            "lost": observation.lost,
            **({"answers": counted(arena)} if observation.transport == "realtime" else {}),
        },
        "backlog": series(samples, origin_ns),
    }


def _delivery(words: Int64s, histograms: dict[str, Histogram]) -> Json:
    by_kind = [histograms[OPERATION_NAMES[operation]] for operation in DELIVERIES]
    after = histograms[OPERATION_NAMES[Operation.AFTER_COMMIT]]
    before = histograms[OPERATION_NAMES[Operation.BEFORE_COMMIT]]
    known = after.count + before.count > 0
    clock = words[words[:, Word.CLOCK_ERROR_NS] > 0]
    return {
        "from_call": asdict(latency_of(merge(by_kind))),
        "from_commit": asdict(signed_latency_of(before, after)) if known else None,
        "by_type": {
            name: asdict(latency_of(histogram))
            for name, histogram in zip(EVENT_TYPES, by_kind, strict=True)
            if histogram.count
        },
        "clock_offset_ns": int(clock[-1, Word.CLOCK_OFFSET_NS]) if len(clock) else None,
        "clock_error_ns": int(clock[-1, Word.CLOCK_ERROR_NS]) if len(clock) else None,
    }
