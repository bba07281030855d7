"""What Supabase Realtime answers that is no event, by kind: counted in vital words, held against the run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgflow_stress.core.arena import Arena, Int64s
from pgflow_stress.core.telemetry import Vital
from pgflow_stress.engine.sizing import observer_regions

CHANNEL_ERROR, TIMED_OUT, CLOSED = "CHANNEL_ERROR", "TIMED_OUT", "CLOSED"
OVERFLOW, RATE_LIMIT = "overflow", "rate limit"
# In the order in which they are told.
ANSWERS: Mapping[str, Vital] = {
    CHANNEL_ERROR: Vital.CHANNEL_ERRORS,
    TIMED_OUT: Vital.JOINS_TIMED_OUT,
    CLOSED: Vital.CHANNELS_CLOSED,
    OVERFLOW: Vital.OVERFLOWS,
    RATE_LIMIT: Vital.RATE_LIMITED,
}
_LIMITED = re.compile(r"ratelimit|rate limit|too many", re.IGNORECASE)
_OVERFLOWN = re.compile(r"overflow|payload ?size|too large|queue is full|message too big", re.IGNORECASE)


def kind_of(state: str, reason: str) -> str:
    """Which kind an answer is: its state, but where its reason says that a limit was reached or a buffer was full."""
    if _LIMITED.search(reason):
        return RATE_LIMIT
    if _OVERFLOWN.search(reason):
        return OVERFLOW
    return state


def counted(arena: Arena) -> dict[str, int]:
    """How many of each kind every observer of a repetition was given; none of those that never came."""
    regions: Int64s = arena.vitals[list(observer_regions(arena.size))]
    found = {kind: int(regions[:, word].sum()) for kind, word in ANSWERS.items()}
    return {kind: count for kind, count in found.items() if count}


def unallowed(answers: Mapping[str, int], *, allow_rate_limit: bool) -> dict[str, int]:
    """Those that fail a run; a channel that a limit closed is that limit's."""
    if not allow_rate_limit or RATE_LIMIT not in answers:
        return dict(answers)
    return {kind: count for kind, count in answers.items() if kind not in (RATE_LIMIT, CLOSED)}
