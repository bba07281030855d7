"""Thresholds: `process.per_second>900`, decided by the mean of the counted repetitions."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pgflow_stress.analysis.metrics import METRICS, MetricInfo
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Metric
from pgflow_stress.core.units import BYTES_PER_KIB, BYTES_PER_MIB, NS_PER_MS, NS_PER_SECOND, NS_PER_US

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_FORM = re.compile(r"\s*(?P<metric>[\w.]+)\s*(?P<op>>=|<=|>|<)\s*(?P<number>[-+\d.eE]*\d\.?)\s*(?P<unit>[A-Za-zµ]*)\s*")
_FACTORS: dict[str, dict[str, float]] = {  # by the stored unit; a bare number is in that unit
    "ns": {"ns": 1, "us": NS_PER_US, "µs": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_SECOND},
    "s": {"s": 1, "ms": NS_PER_MS / NS_PER_SECOND},
    "bytes": {"B": 1, "KiB": BYTES_PER_KIB, "MiB": BYTES_PER_MIB, "k": 1e3, "M": 1e6},
    "": {"k": 1e3, "M": 1e6},
}
_MOST_SUGGESTIONS = 5
_PLACE = "in a drained backlog this is mostly a run's place in it: it grows with the number of runs"
_IN_A_BACKLOG = {
    "execute.latency_ns.": _PLACE,
    "end_to_end.latency_ns.": _PLACE,
    "breakdown.response_ns.": _PLACE,
    "breakdown.queue_wait_ns.": _PLACE,
    "start.latency_ns.": "in a drained backlog this is a start among all others at once",
    "breakdown.start_ns.": "in a drained backlog this is a start among all others at once",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition on one metric's mean; `limit` is in the metric's stored unit."""

    text: str
    metric: str
    op: str
    limit: float


@dataclass(frozen=True, slots=True)
class Gate:
    """What became of a threshold; held is None where it could not be decided."""

    text: str
    held: bool | None
    mean: float | None
    ci95: tuple[float, float] | None


def parse(text: str) -> Threshold:
    """Read `METRIC OP NUMBER[UNIT]`: OP one of > >= < <=; UNIT ns us ms s for times, KiB MiB for sizes, k M else.

    Raises:
        UsageFault: not of this form, an unknown metric (near names are listed), a unit that does not fit.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageFault(f"threshold {text!r}: write METRIC OP NUMBER, as in 'process.per_second>900'")
    info = METRICS.get(found["metric"])
    if info is None:
        raise UsageFault(
            f"threshold {text!r}: no metric {found['metric']!r}; near it: {', '.join(_near(found['metric']))}"
        )
    try:
        limit = float(found["number"])
    except ValueError:
        raise UsageFault(f"threshold {text!r}: {found['number']!r} is not a number") from None
    limit *= _factor(text, info, found["unit"])
    if not math.isfinite(limit):
        raise UsageFault(f"threshold {text!r}: the number is too large")
    return Threshold(text.strip(), info.name, found["op"], limit)


def caution(threshold: Threshold, load_model: str) -> str | None:
    """What the metric really is where all runs are started before any is worked on; None where its name says it."""
    if load_model != "backlog-drain":
        return None
    return next((said for head, said in _IN_A_BACKLOG.items() if threshold.metric.startswith(head)), None)


def _factor(text: str, info: MetricInfo, unit: str) -> float:
    factors = _FACTORS.get(info.unit, _FACTORS[""])
    if not unit:
        return 1
    if unit not in factors:
        raise UsageFault(f"threshold {text!r}: {info.name} takes {', '.join(factors)}, not {unit!r}")
    return factors[unit]


def _near(name: str) -> list[str]:
    near = difflib.get_close_matches(name, METRICS, n=_MOST_SUGGESTIONS, cutoff=0.5)
    return near or ["process.per_second", "execute.per_second", "process.latency_ns.p99"]


def decide(threshold: Threshold, summary: Mapping[str, Metric], strict: bool) -> Gate:
    """Whether the threshold held.

    By the mean. A metric without a value does not hold: a gate on a percentile that has too few samples would else
    always pass. With `strict` the whole 95 % interval must be on the right side: wholly on the wrong side it does not
    hold; across the limit, without an interval or without a value it is undecided.
    """
    metric = summary.get(threshold.metric)
    mean = metric.mean if metric else None
    ci95 = metric.ci95 if metric else None
    passes = _COMPARE[threshold.op]
    held: bool | None
    if not strict:
        held = mean is not None and passes(mean, threshold.limit)
    elif mean is None or ci95 is None:
        held = None
    else:
        ends = {passes(end, threshold.limit) for end in ci95}
        held = ends.pop() if len(ends) == 1 else None
    return Gate(threshold.text, held, mean, ci95)
