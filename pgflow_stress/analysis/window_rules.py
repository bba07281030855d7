"""Rules of the verdict about the course of a window: priming, drift, tail. All read client["series"].

The steady part is from the first completion to the first idle worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from pgflow_stress.analysis.completions import Completions, completions_of
from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.analysis.stationarity import Drift, beginning, common_drift, drift
from pgflow_stress.analysis.statistics import LEVEL

_Found = TypeVar("_Found")
_LEAST_IN_COMMON = 3  # repetitions
_TOUCHED = ("process", "execute", "end_to_end")


def priming_was_enough(evidence: Evidence) -> Iterator[Finding]:
    """The first tenth of the steady part has the rate of the rest, within its interval and `max_priming_gap`."""
    limits = evidence.limits
    found = _of_each(
        evidence,
        lambda series, level: beginning(
            series.steady(), series.bin_seconds, limits.min_batches, level=level, at_once=series.at_once
        ),
    )
    off = {index: one for index, one in found.items() if one.is_beyond(limits.max_priming_gap)}
    if off:
        worst = max(off.values(), key=lambda found: abs(found.share))
        yield Finding(
            f"priming: the first tenth ran at {worst.first_tenth:,.0f} tasks/s, the rest at {worst.rest:,.0f} "
            f"({worst.share:+.0%}, beyond ±{worst.half:.0%} by more than {limits.max_priming_gap:.0%}; "
            f"{in_repetitions(off)})",
            evidence.timed_metrics(*_TOUCHED),
            comparable=True,
        )


def rate_is_stationary(evidence: Evidence) -> Iterator[Finding]:
    """The rate's slope over the steady part: its whole interval must not be beyond `max_drift_per_window`.

    Neither that of one repetition nor that of what all of them, three at least, have in common.
    """
    limits = evidence.limits
    found = _of_each(
        evidence, lambda series, level: drift(series.steady(), series.bin_seconds, limits.min_batches, level)
    )
    drifting = {index: one for index, one in found.items() if one.is_beyond(limits.max_drift_per_window)}
    common = _common(list(found.values()))
    if common and common.is_beyond(limits.max_drift_per_window):
        worst, where = common, f"the mean of {len(found)} repetitions"
    elif drifting:
        worst = max(drifting.values(), key=lambda found: abs(found.share))
        where = in_repetitions(drifting)
    else:
        return
    yield Finding(
        f"not stationary: the rate changes by {worst.share:+.0%} a window (95 %: {worst.low:+.0%} to "
        f"{worst.high:+.0%}), over {limits.max_drift_per_window:.0%}: "
        f"first tenth {worst.first_tenth:,.0f} tasks/s, last tenth {worst.last_tenth:,.0f} ({where})",
        evidence.timed_metrics(*_TOUCHED),
        comparable=True,
    )


def _of_each(evidence: Evidence, look: Callable[[Completions, float], _Found | None]) -> dict[int, _Found]:
    """What each repetition's series shows, at a level that is all repetitions' together (Bonferroni)."""
    level = 1 - (1 - LEVEL) / max(1, len(evidence.counted))
    found = {}
    for repetition in evidence.counted:
        series = completions_of(repetition)
        if series and (one := look(series, level)):
            found[repetition.index] = one
    return found


def _common(drifts: list[Drift]) -> Drift | None:
    differ = len({one.share for one in drifts}) > 1
    return common_drift(drifts) if len(drifts) >= _LEAST_IN_COMMON and differ else None


def tail_is_short(evidence: Evidence) -> Iterator[Finding]:
    """A note: from the first idle worker on the rate is not that of all of them; steady.per_second leaves that out."""
    long: dict[int, tuple[float, float]] = {}
    for repetition in evidence.counted:
        series = completions_of(repetition)
        if series and series.tail_seconds > evidence.limits.max_tail_share * series.seconds:
            long[repetition.index] = (series.tail_seconds / series.seconds, series.tail_seconds)
    if long:
        share, seconds = max(long.values())
        yield Finding(
            f"tail: in the last {share:.0%} of the process phase ({seconds:.2g} s) a worker was idle "
            f"({in_repetitions(long)}); steady.per_second is the rate before it"
        )
