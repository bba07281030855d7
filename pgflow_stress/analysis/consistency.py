"""Does a saved result agree with itself: arithmetic, sums of outcomes, audits, summary."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields

from pgflow_stress.analysis.summary import summarise
from pgflow_stress.core.result import Check, Metric, Phase, Repetition, Result, Tasks
from pgflow_stress.core.units import NS_PER_SECOND

_RELATIVE = 1e-6  # floats went through text, and other tools may have written them
_ASCENDING = ("p50", "p90", "p95", "p99", "p999", "p9999", "max")


def check_result(result: Result) -> list[Check]:
    """Every check of a result, those of its own audits included, with names that say where.

    A check of a phase or a sum is there only where it fails; one line stands for all that held.
    """
    broken = [check for repetition in result.repetitions for check in _repetition(repetition)]
    broken += list(_summary(result))
    audits = [
        Check(f"repetition {repetition.index}: {check.name}", check.ok, check.expected, check.found, check.ids)
        for repetition in result.repetitions
        for check in repetition.audit.checks
    ]
    return [Check("the result agrees with itself", not broken, 0, len(broken)), *broken, *audits]


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=_RELATIVE, abs_tol=1e-9)


def _repetition(repetition: Repetition) -> Iterator[Check]:
    where = f"repetition {repetition.index}"
    outcomes = sum(getattr(repetition.tasks, f.name) for f in fields(Tasks) if f.name != "expected")
    if outcomes != repetition.tasks.expected:
        yield Check(f"{where}: outcomes add up to the expected tasks", False, repetition.tasks.expected, outcomes)
    held = all(check.ok for check in repetition.audit.checks)
    if repetition.audit.ok != held:
        yield Check(f"{where}: audit.ok says what its checks say", False, held, repetition.audit.ok)
    window = repetition.window["seconds"]
    whole = repetition.phases.get("end_to_end")
    if whole is not None and whole.count and not _close(whole.seconds, window):
        yield Check(f"{where}: the common window is that of end_to_end", False, window, whole.seconds)
    for name, phase in repetition.phases.items():
        yield from _phase(f"{where}: {name}", phase, window)


def _phase(where: str, phase: Phase, window: float) -> Iterator[Check]:
    if not phase.count:
        if phase != Phase():
            yield Check(f"{where} did not happen and says so", False, "count 0, seconds 0, nulls", "values")
        return
    if phase.from_ns is None or phase.to_ns is None or phase.to_ns <= phase.from_ns:
        yield Check(f"{where}: from_ns lies before to_ns", False, phase.from_ns, phase.to_ns)
        return
    seconds = (phase.to_ns - phase.from_ns) / NS_PER_SECOND
    for name, expected, found in (
        ("seconds = to_ns - from_ns", seconds, phase.seconds),
        ("per_second = count / seconds", phase.count / seconds, phase.per_second),
        ("per_second_common = count / window", phase.count / window, phase.per_second_common),
    ):
        if not _close(expected, found):
            yield Check(f"{where}: {name}", False, expected, found)
    stated = [value for leaf in _ASCENDING if (value := getattr(phase.latency_ns, leaf)) is not None]
    if stated != sorted(stated):
        yield Check(f"{where}: percentiles ascend", False, sorted(stated), stated)


def _summary(result: Result) -> Iterator[Check]:
    for name, expected in summarise(result.repetitions).items():
        found = result.summary.get(name)
        if found is None or not _same(expected, found):
            yield Check(
                f"summary {name} is that of the counted repetitions",
                False,
                expected.mean,
                found.mean if found else None,
            )


def _same(expected: Metric, found: Metric) -> bool:
    pairs = [(expected.mean, found.mean), (expected.stdev, found.stdev)]
    pairs += list(zip(expected.ci95 or (None, None), found.ci95 or (None, None), strict=True))
    if len(expected.values) != len(found.values) or expected.n != found.n:
        return False
    return all(_close(a, b) for a, b in (*pairs, *zip(expected.values, found.values, strict=True)))
