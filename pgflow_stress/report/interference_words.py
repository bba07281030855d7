"""Interference in words and as tables: did each take hold, what did a bystander feel, how long until it was over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Json, Repetition, Result
from pgflow_stress.report.fault_words import proof_words

HEADER = ("repetition", "interference", "from", "to", "took hold", "recovery")
SPAN_HEADER = ("repetition", "when", "updates", "p50", "p90", "p99", "max", "p50 to before", "p50 from when due")
_BYSTANDER = "bystander"
SPAN_WORDS = {"before": "before, alone", "held": "with it, no load", "during": "with the load", "after": "after"}


def interference_lines(result: Result) -> list[str]:
    """What took hold, a line each for what did not or had a time of its own, what the bystander felt; [] for none."""
    lines = []
    for one in _interfered(result):
        kinds = [kind for kind in _kinds(one) if kind["name"] != _BYSTANDER or not kind["took_hold"]]
        simply = [str(kind["spec"]) for kind in kinds if kind["took_hold"] and not kind.get("tasks_per_second")]
        said = [f"{', '.join(simply)} held to the end"] if simply else []
        said += [kind_words(kind) for kind in kinds if str(kind["spec"]) not in simply]
        if felt := bystander_words(one.interference.get("bystander") or {}):
            said.append(felt)
        lines += [f"repetition {one.index}: {line}" for line in said]
    return lines


def kind_words(kind: Mapping[str, Any]) -> str:
    """One interference in a line."""
    if not kind["took_hold"]:
        return f"{kind['spec']} did NOT take hold to the end: {kind['why']}"
    rates = kind.get("tasks_per_second") or {}
    told = ", ".join(f"{name} {formats.significant(rate, 3)}" for name, rate in rates.items() if rate is not None)
    return f"{kind['spec']} held" + (f"; tasks/s {told}" if told else "")


def bystander_words(bystander: Mapping[str, Any]) -> str:
    """What updates of the bystander took, part by part; "" where nothing is known."""
    spans = bystander.get("spans") or {}
    medians = {name: (span.get("service_ns") or {}).get("p50") for name, span in spans.items() if span.get("updates")}
    told = ", ".join(
        f"{SPAN_WORDS.get(name, name)} {formats.duration_ns(p50)}" for name, p50 in medians.items() if p50 is not None
    )
    if not told:
        return ""
    after = bystander.get("recovered_seconds")
    recovered = "not as fast as before at the end" if after is None else f"as fast as before after {_seconds(after)}"
    return f"bystander's update p50: {told}; {recovered}"


def kind_rows(repetition: Repetition) -> list[tuple[str, ...]]:
    """A row a kind, under `HEADER`."""
    return [
        (
            str(repetition.index),
            kind["spec"],
            _moment(kind["from_ns"]),
            _moment(kind["to_ns"]),
            "yes" if kind["took_hold"] else f"NO: {kind['why']}",
            proof_words(kind["recovery"] or {}),
        )
        for kind in _kinds(repetition)
    ]


def kind_proofs(repetition: Repetition) -> list[tuple[str, str]]:
    """What shows that each took hold."""
    return [(f"{kind['number']} {kind['spec']}", proof_words(kind["proof"])) for kind in _kinds(repetition)]


def span_rows(repetition: Repetition) -> list[tuple[str, ...]]:
    """A row a part of the time, under `SPAN_HEADER`."""
    spans = (repetition.interference.get("bystander") or {}).get("spans") or {}
    usual = ((spans.get("before") or {}).get("service_ns") or {}).get("p50")
    return [
        (
            str(repetition.index),
            SPAN_WORDS.get(name, name),
            f"{span['updates']:,}" + (f", {span['failed']} failed" if span["failed"] else ""),
            *(_latency(span["service_ns"], leaf) for leaf in ("p50", "p90", "p99", "max")),
            _ratio(span["service_ns"].get("p50"), usual),
            _latency(span["response_ns"], "p50"),
        )
        for name, span in spans.items()
    ]


def _interfered(result: Result) -> Iterator[Repetition]:
    return (one for one in result.repetitions if one.interference)


def _kinds(repetition: Repetition) -> list[Json]:
    kinds: list[Json] = repetition.interference.get("kinds") or []
    return kinds


def _moment(ns: int | None) -> str:
    return formats.ABSENT if ns is None else formats.duration_ns(ns)


def _latency(latency: Mapping[str, Any], leaf: str) -> str:
    value = latency.get(leaf)
    return formats.ABSENT if value is None else formats.duration_ns(value)


def _ratio(value: float | None, usual: float | None) -> str:
    return f"{value / usual:.2f} ×" if value and usual else formats.ABSENT


def _seconds(value: float) -> str:
    return formats.with_unit(value, "s", 2)
