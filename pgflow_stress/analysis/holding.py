"""Did a window of an open load hold? Its latencies within their limits, its queue not growing, nothing lost.

A window that did not hold through the client's own fault says nothing about the server: it is *invalid*.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.backlog import Growth, growth
from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.analysis.metrics import METRICS
from pgflow_stress.analysis.schedule_rules import late_share
from pgflow_stress.analysis.searching import Outcome
from pgflow_stress.analysis.summary import metrics_of
from pgflow_stress.analysis.threshold import Threshold, parse
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.latency import LEAST_SAMPLES_BEYOND, QUANTILES
from pgflow_stress.core.result import Check, Repetition

_ALL = 10_000  # QUANTILES are in ten-thousandths
_LEAF = re.compile(r"(start|process|execute|end_to_end|deliver)\.latency_ns\.(\w+)")


@dataclass(frozen=True, slots=True)
class HoldRules:
    """The numbers of the hold rule."""

    max_growth_share: float = 0.01  # of the offered rate: upper bound of the backlog's slope
    max_late_share: float = DEFAULT_LIMITS.max_late_share  # of the mean response time, sent late by our own fault


@dataclass(frozen=True, slots=True)
class Seen:
    """What a window showed."""

    offered_per_second: float
    latencies_ns: Mapping[str, float | None]  # by metric
    growth: Growth | None
    lost: tuple[str, ...] = ()  # failed checks, tasks without their end
    undrained: int = 0  # tasks left when the time for draining was over
    late_share: float | None = None
    broken: str | None = None  # why the window says nothing at all


@dataclass(frozen=True, slots=True)
class Held:
    """The answer, and why; `excess` is the log of the worst latency over its limit."""

    outcome: Outcome
    reasons: tuple[str, ...]
    excess: float | None


def parse_limit(text: str) -> Threshold:
    """Read a latency's upper limit, as `execute.latency_ns.p99<50ms`.

    Raises:
        UsageFault: no condition, no latency of a phase that an open load has, or not an upper limit above 0.
    """
    limit = parse(text)
    if not _LEAF.fullmatch(limit.metric):
        raise UsageFault(f"limit {text!r}: {limit.metric} is no latency of start, process, execute or deliver")
    if limit.op not in ("<", "<="):
        raise UsageFault(f"limit {text!r}: a latency has an upper limit: write {limit.metric}<…")
    if limit.limit <= 0:
        raise UsageFault(f"limit {text!r}: no latency is that short")
    return limit


def runs_needed(limits: Sequence[Threshold]) -> int:
    """How many runs a window must have, so that ten lie beyond every percentile that is limited."""
    quantiles = (QUANTILES.get(limit.metric.rpartition(".")[2], 0) for limit in limits)
    return max((math.ceil(LEAST_SAMPLES_BEYOND * _ALL / (_ALL - quantile)) for quantile in quantiles), default=0)


def seen_of(repetition: Repetition, limits: Sequence[Threshold], offered_per_second: float) -> Seen:
    """What a repetition of an open load shows."""
    values = dict(metrics_of(repetition))
    series = (repetition.client.get("schedule") or {}).get("backlog")
    tasks = repetition.tasks
    lost = [f"audit: {check.name}: expected {check.expected}, found {check.found}" for check in _failed(repetition)]
    others = {"failed": tasks.failed, "abandoned": tasks.abandoned, "indeterminate": tasks.indeterminate}
    lost += [f"{count:,} tasks {what}" for what, count in others.items() if count]
    broken = "interrupted" if repetition.interrupted else "a worker was lost" if repetition.lost_worker else None
    return Seen(
        offered_per_second=offered_per_second,
        latencies_ns={limit.metric: values.get(limit.metric) for limit in limits},
        growth=growth(series["mean"], series["bin_seconds"]) if series else None,
        lost=tuple(lost),
        undrained=tasks.timed_out + tasks.unfinished,
        late_share=late_share(repetition),
        broken=broken,
    )


def _failed(repetition: Repetition) -> list[Check]:
    return [check for check in repetition.audit.checks if not check.ok]


def judge(seen: Seen, limits: Sequence[Threshold], rules: HoldRules) -> Held:
    """Whether a window held."""
    if seen.broken is not None:
        return Held(Outcome.INVALID, (seen.broken,), None)
    excess = _excess(seen, limits)
    grows, may_grow = _growing(seen, rules)
    reasons = [*seen.lost, *_drained(seen), *grows, *_above(seen, limits)]
    unknown = [limit.metric for limit in limits if seen.latencies_ns.get(limit.metric) is None]
    if not reasons and unknown:
        return Held(Outcome.INVALID, (f"too short: {', '.join(unknown)} has no value",), None)
    if not reasons and seen.growth is None:
        return Held(Outcome.INVALID, ("too short: nothing is known of the backlog",), None)
    if not reasons:
        return Held(Outcome.UNDECIDED if may_grow else Outcome.HELD, tuple(may_grow), excess)
    if seen.late_share is not None and seen.late_share > rules.max_late_share and not seen.lost:
        why = f"client-bound: sent late by ourselves, by {seen.late_share:.0%} of the mean response time"
        return Held(Outcome.INVALID, (why, *reasons), None)
    return Held(Outcome.FAILED, tuple(reasons), excess)


def _excess(seen: Seen, limits: Sequence[Threshold]) -> float | None:
    values = [(seen.latencies_ns.get(limit.metric), limit) for limit in limits]
    if any(not value for value, _ in values):
        return None
    return max(math.log(value / limit.limit) for value, limit in values if value)


def _drained(seen: Seen) -> list[str]:
    return [f"the queue did not drain: {seen.undrained:,} tasks were left"] if seen.undrained else []


def _growing(seen: Seen, rules: HoldRules) -> tuple[list[str], list[str]]:
    """That the backlog surely grows by too much, or that it may."""
    if seen.growth is None:
        return [], []
    most = rules.max_growth_share * seen.offered_per_second
    upper, lower = (formats.significant(bound, 2) for bound in (seen.growth.upper, seen.growth.lower))
    share = f"{100 * rules.max_growth_share:.2g} % of the offered rate"
    if seen.growth.lower >= most:
        return [f"the backlog grew by at least {lower} runs/s, {share} or more"], []
    if seen.growth.upper >= most:
        return [], [f"the backlog may grow by {upper} runs/s, {share} or more: a longer --duration would tell"]
    return [], []


def _above(seen: Seen, limits: Sequence[Threshold]) -> list[str]:
    found = []
    for limit in limits:
        value = seen.latencies_ns.get(limit.metric)
        if value is not None and (value > limit.limit or (limit.op == "<" and value == limit.limit)):
            said, most = (METRICS[limit.metric].format(ns) for ns in (value, limit.limit))
            found.append(f"{limit.metric} was {said}, over {most}")
    return found
