"""Rules of the verdict about the course of a window: priming, drift, tail. All read client["series"].

The steady part is from the first completion to the first idle worker.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgflow_stress.analysis.completions import completions_of
from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.analysis.stationarity import Beginning, Drift, beginning, drift

_TOUCHED = ("process", "execute", "end_to_end")


def priming_was_enough(evidence: Evidence) -> Iterator[Finding]:
    """The first tenth of the steady part has the rate of the rest, within its interval and `max_priming_gap`."""
    limits = evidence.limits
    off: dict[int, Beginning] = {}
    for repetition in evidence.counted:
        series = completions_of(repetition)
        found = series and beginning(series.steady(), series.bin_seconds, limits.min_batches)
        if found and found.is_beyond(limits.max_priming_gap):
            off[repetition.index] = found
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
    """The rate's slope over the steady part: its whole interval must not be beyond `max_drift_per_window`."""
    limits = evidence.limits
    drifting: dict[int, Drift] = {}
    for repetition in evidence.counted:
        series = completions_of(repetition)
        found = series and drift(series.steady(), series.bin_seconds, limits.min_batches)
        if found and found.is_beyond(limits.max_drift_per_window):
            drifting[repetition.index] = found
    if drifting:
        worst = max(drifting.values(), key=lambda found: abs(found.share))
        yield Finding(
            f"not stationary: the rate changes by {worst.share:+.0%} a window (95 %: {worst.low:+.0%} to "
            f"{worst.high:+.0%}), over {limits.max_drift_per_window:.0%}: "
            f"first tenth {worst.first_tenth:,.0f} tasks/s, last tenth {worst.last_tenth:,.0f} "
            f"({in_repetitions(drifting)})",
            evidence.timed_metrics(*_TOUCHED),
            comparable=True,
        )


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
