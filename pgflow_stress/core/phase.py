"""The arithmetic of a phase, in one place: contract "The result"."""

from __future__ import annotations

from pgflow_stress.core.result import Latency, Phase
from pgflow_stress.core.units import NS_PER_SECOND


def nothing() -> Phase:
    """A phase that did not happen: count 0, seconds 0 and nulls."""
    return Phase()


def phase(from_ns: int | None, to_ns: int | None, count: int, window_seconds: float, latency: Latency) -> Phase:
    """A phase and its two rates.

    Args:
        from_ns: its first statement sent, ns from the repetition's origin; None where none was.
        to_ns: its last answer (or event), likewise.
        count: what the phase counts: steps created, runs started, tasks completed, events received.
        window_seconds: the repetition's common window.
        latency: of what the phase's latency is defined over.
    Returns:
        `nothing()` where nothing was counted: a rate of nothing would be read as a speed.
    Raises:
        ValueError: something was counted in no time, or in no window.
    """
    if count == 0 or from_ns is None or to_ns is None:
        return nothing()
    if not (from_ns < to_ns and window_seconds > 0):
        raise ValueError(f"{count} counted between {from_ns} and {to_ns} ns in a window of {window_seconds} s")
    seconds = (to_ns - from_ns) / NS_PER_SECOND
    return Phase(
        from_ns=from_ns,
        to_ns=to_ns,
        seconds=seconds,
        count=count,
        per_second=count / seconds,
        per_second_common=count / window_seconds,
        latency_ns=latency,
    )
