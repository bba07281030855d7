"""The summary: every metric over the counted repetitions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pgflow_stress.analysis.breakdown_rules import breakdown_metrics
from pgflow_stress.analysis.completions import steady_rate
from pgflow_stress.analysis.metrics import LATENCY_LEAVES, REQUIRED
from pgflow_stress.analysis.observing import was_observed
from pgflow_stress.core.result import Metric, Phase, Repetition

CONFIDENCE = 0.95
_NO_METRICS = frozenset(  # read by the verdict's rules, or looked up
    {
        "client.series",
        "client.breakdown",
        "server.autovacuums",
        "server.autoanalyzes",
        "server.plans",
        "server.wait_events",
        "server.deltas",
        "server.deltas_per_task",
    }
)


def summarise(repetitions: Sequence[Repetition]) -> dict[str, Metric]:
    """Mean, standard deviation and 95 % interval of every metric, by dotted name.

    Only counted repetitions take part. Every metric of `metrics.REQUIRED` is there, with n 0 and Nones where none was
    counted; beside them those of other phases, and numeric leaves of `client` and `server` that every counted
    repetition has.
    """
    measured = [dict(metrics_of(repetition)) for repetition in repetitions if repetition.counted]
    names = dict.fromkeys(REQUIRED)
    if measured:
        shared = set(measured[0]).intersection(*measured[1:])
        names.update(dict.fromkeys(name for name in measured[0] if name in shared))
    return {name: metric([values.get(name) for values in measured]) for name in names}


def metric(values: Sequence[float | None]) -> Metric:
    """One metric over repetitions.

    `values` keeps its Nones, so that the i-th value is the i-th counted repetition's; n, mean, stdev and interval are
    of those that are not None. The verdict marks a metric whose n is short of its values: a percentile with too few
    samples is not missing at random. stdev and ci95 need two values.
    """
    present = [value for value in values if value is not None]
    n = len(present)
    mean = statistics.fmean(present) if n else None
    stdev = statistics.stdev(present) if n > 1 else None
    return Metric(mean=mean, stdev=stdev, ci95=interval(present), n=n, values=tuple(values))


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % confidence interval of the mean by Student's t; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    # Not scipy.stats, and not at the top: imports that a run need not wait for before its first statement.
    from scipy.special import stdtrit  # noqa: PLC0415

    mean = statistics.fmean(values)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(values) / math.sqrt(n)
    return mean - half, mean + half


def metrics_of(repetition: Repetition) -> Iterator[tuple[str, float | None]]:
    """Every metric of one repetition, by dotted name; None where it has no value.

    Those of `deliver` are there only where events were observed, those of `steady` only where a worker was idle before
    the end: nothing is claimed of what nobody looked at.
    """
    for name, phase in repetition.phases.items():
        if name != "deliver" or was_observed(repetition):
            yield from _phase_metrics(name, phase)
    if steady := steady_rate(repetition):
        yield from zip(("steady.per_second", "steady.seconds"), steady, strict=True)
    yield from breakdown_metrics(repetition.client.get("breakdown") or {})
    yield from _leaves("client", repetition.client)
    yield from _leaves("server", repetition.server)


def _phase_metrics(name: str, phase: Phase) -> Iterator[tuple[str, float | None]]:
    yield f"{name}.per_second", phase.per_second
    yield f"{name}.per_second_common", phase.per_second_common
    yield f"{name}.seconds", phase.seconds if phase.count else None  # 0 s of a phase that was not is no duration
    for leaf in LATENCY_LEAVES:
        yield f"{name}.latency_ns.{leaf}", getattr(phase.latency_ns, leaf)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, float | None]]:
    """Numbers below `value`, by dotted name; None where a known metric was not measured."""
    if path in _NO_METRICS:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int | float) and math.isfinite(value):
        yield path, value
    elif value is None and path in REQUIRED:
        yield path, None
