"""What a reader is told of events and their observer, in plain lines: shared by the terminal, HTML and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.observing import was_observed
from pgflow_stress.core.result import Repetition, Result
from pgflow_stress.report.words import estimate

_FIRST_IDS = 3
_MOST_REASONS = 3
_USUAL_BODY = "supabase"
COUNTS = ("expected", "stored", "received")
FAULTS = ("missing", "duplicate", "unexpected")


@dataclass(frozen=True, slots=True)
class EventTotals:
    """Events over all observed repetitions, warm-up included: what is lost there is lost too."""

    by_type: Mapping[str, tuple[int, int, int]]  # expected, stored, received
    expected: int
    stored: int
    received: int
    missing: int
    duplicate: int
    unexpected: int

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, came twice or was not expected."""
        return not (self.missing or self.duplicate or self.unexpected)


def observed(result: Result) -> list[Repetition]:
    """Repetitions whose events were observed."""
    return [repetition for repetition in result.repetitions if was_observed(repetition)]


def event_totals(result: Result) -> EventTotals | None:
    """What was to come, what was stored and what came; None where nobody observed."""
    repetitions = observed(result)
    if not repetitions:
        return None
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTS}
    for repetition in repetitions:
        for name, counter in counts.items():
            counter.update(repetition.events.get(name) or {})
    faults = {name: sum(int(r.events.get(name) or 0) for r in repetitions) for name in FAULTS}
    expected, stored, received = (counts[name] for name in COUNTS)
    types = dict.fromkeys(kind for counter in counts.values() for kind in counter)
    return EventTotals(
        by_type={kind: (expected[kind], stored[kind], received[kind]) for kind in types},
        expected=expected.total(),
        stored=stored.total(),
        received=received.total(),
        missing=faults["missing"],
        duplicate=faults["duplicate"],
        unexpected=faults["unexpected"],
    )


def event_lines(result: Result) -> list[str]:
    """The counts and the delivery in one line, a line a kind of difference, then why a delivery is not to be relied on.

    [] where nobody observed.
    """
    totals = event_totals(result)
    if totals is None:
        return []
    wrong = [f"{count:,} {name}" for name in FAULTS if (count := getattr(totals, name))]
    counts = [f"{getattr(totals, name):,} {name}" for name in COUNTS]
    parts = [f"{_observer_of(result)}: {', '.join([*counts, *wrong])}"]
    if told := _delivery(result):
        parts.append(told)
    return ["; ".join(parts), *_unaccounted(result), *_differences(result), *_warnings(result), *_doubts(result)]


def _unaccounted(result: Result) -> list[str]:
    """Repetitions whose database could not be asked: nothing is claimed of their events."""
    where = [str(repetition.index) for repetition in observed(result) if repetition.events.get("accounted") is False]
    return [f"not accounted for in repetition {', '.join(where)}"] if where else []


def _observer_of(result: Result) -> str:
    events = observed(result)[0].events
    body = events.get("realtime_send")
    return str(events["transport"]) + (f", realtime.send {body}" if body not in (None, _USUAL_BODY) else "")


def _delivery(result: Result) -> str:
    """Median and p99, else the longest: single-flow's events are caused by too few statements for a percentile."""
    found = {leaf: estimate(result, f"deliver.latency_ns.{leaf}") for leaf in ("p50", "p99", "max")}
    told = {leaf: one.mean + ("" if one.valid else "*") for leaf, one in found.items() if one.mean != formats.ABSENT}
    longest = told.pop("max", "")
    if told:
        return f"delivery {', '.join(f'{leaf} {text}' for leaf, text in told.items())} from the call"
    return f"delivery at most {longest} from the call" if longest else ""


def _differences(result: Result) -> list[str]:
    """A line a kind, over all repetitions, with its first offenders."""
    counts: Counter[str] = Counter()
    ids: dict[str, list[str]] = {}
    where: dict[str, list[str]] = {}
    for repetition in observed(result):
        for difference in repetition.events.get("differences") or ():
            name = str(difference["name"])
            counts[name] += int(difference["count"])
            ids.setdefault(name, []).extend(map(str, difference.get("ids") or ()))
            where.setdefault(name, []).append(str(repetition.index))
    return [
        f"{name}: {count:,} in repetition {', '.join(where[name])}{first_ids(ids[name], count)}"
        for name, count in counts.items()
    ]


def first_ids(ids: Sequence[str], count: int, most: int = _FIRST_IDS) -> str:
    """ ": a, b, c, …": the first of them, with an ellipsis where there are more; "" for none."""
    if not ids:
        return ""
    return f": {', '.join(ids[:most])}{', …' if max(count, len(ids)) > most else ''}"


def _warnings(result: Result) -> list[str]:
    warnings = sum(int(repetition.events.get("warnings") or 0) for repetition in observed(result))
    many = "s" if warnings != 1 else ""
    return [f"realtime.send warned {warnings:,} time{many}: it could not store"] if warnings else []


def _doubts(result: Result) -> list[str]:
    """Why delivery is not to be relied on where something came, without what is said of the whole measurement."""
    name = "deliver.per_second"
    metric, verdict = result.summary.get(name), result.verdict.metrics.get(name)
    if metric is None or verdict is None or metric.mean is None:
        return []
    return [reason for reason in verdict.reasons if reason not in result.verdict.reasons][:_MOST_REASONS]


def cost_lines(outcome: Mapping[str, Any], of: str = "observer_cost", what: str = "the observer") -> list[str]:
    """What the observer, or telemetry, costs. Reads {metric: {ratio, ci95, n}}; [] where it was not measured."""
    costs: Mapping[str, Mapping[str, Any]] = outcome.get(of) or {}
    if not costs:
        return []
    n = max(int(cost.get("n") or 0) for cost in costs.values())
    if not n:
        return [f"cannot tell: no counted repetition has one without {what} beside it"]
    lines = [_cost(name, cost) for name, cost in costs.items()]
    return [*lines, f"of {n} pair{'' if n == 1 else 's'} of repetitions with and without it"]


def _cost(name: str, cost: Mapping[str, Any]) -> str:
    ratio, ci95 = cost.get("ratio"), cost.get("ci95")
    if ratio is None:
        return f"{name}: cannot tell, it has no value"
    if ci95 is None:
        return f"{name} {_change(ratio)}, no interval"
    low, high = ci95
    shown = ": no difference shown" if low <= 1 <= high else ""
    return f"{name} {_change(ratio)} (95 %: {_change(low)} to {_change(high)}){shown}"


def _change(ratio: float) -> str:
    """0.968 -> "-3.2 %"."""
    return f"{100 * (ratio - 1):+.1f} %"
