"""How long a fault was felt: out of the completions' stamps, nothing of it measured in the window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND

_BEFORE_NS = 5 * NS_PER_SECOND  # at most, that the rate before is taken of
_SPAN_NS = NS_PER_SECOND // 2  # a rate is of at least so long
LEAST_BEFORE = 20  # completions: of fewer there is no rate
BACK_SHARE = 0.9  # of the rate before

Stamps = npt.NDArray[np.int64]


def recovery(done_ns: Stamps, subject_done_ns: Stamps | None, begin_ns: int, struck_ns: int, held_ns: int) -> Json:
    """When tasks were completed again, and when as fast as before; seconds from the strike.

    The rate is back at the first completion, after the effect was seen, from which on half a second (or the time in
    which the rate before had completed 20, where that is longer) holds 90 % of what the rate before would complete.

    Args:
        done_ns: int64[n], ascending: every completion's answer.
        subject_done_ns: int64[m], ascending: those of the worker that was struck; None where it struck no one of them.
        begin_ns: of the process phase.
        struck_ns, held_ns: of the fault, on the same clock; what was answered between them had been sent before.
    Returns:
        first_task_seconds, first_task_of_subject_seconds, rate_before_per_second, rate_back_seconds; None where there
        was none, as at the end of the work.
    """
    before = int(np.searchsorted(done_ns, struck_ns))
    from_ns = max(begin_ns, struck_ns - _BEFORE_NS)
    counted = before - int(np.searchsorted(done_ns, from_ns))
    rate = counted / (struck_ns - from_ns) if struck_ns > from_ns and counted >= LEAST_BEFORE else None  # by ns
    found: Json = {
        "first_task_seconds": _first(done_ns, struck_ns, held_ns),
        "rate_before_per_second": rate * NS_PER_SECOND if rate else None,
        "rate_back_seconds": _back(done_ns, struck_ns, held_ns, rate) if rate else None,
    }
    if subject_done_ns is not None:
        found["first_task_of_subject_seconds"] = _first(subject_done_ns, struck_ns, held_ns)
    return found


def _first(done_ns: Stamps, struck_ns: int, held_ns: int) -> float | None:
    place = int(np.searchsorted(done_ns, held_ns))
    return (int(done_ns[place]) - struck_ns) / NS_PER_SECOND if place < len(done_ns) else None


def _back(done_ns: Stamps, struck_ns: int, held_ns: int, rate: float) -> float | None:
    span_ns = max(_SPAN_NS, round(LEAST_BEFORE / rate))
    begins = done_ns[int(np.searchsorted(done_ns, held_ns)) :]
    begins = begins[begins + span_ns <= (int(done_ns[-1]) if len(done_ns) else 0)]
    within = np.searchsorted(done_ns, begins + span_ns) - np.searchsorted(done_ns, begins)
    fast = np.flatnonzero(within >= BACK_SHARE * rate * span_ns)
    return (int(begins[fast[0]]) - struck_ns) / NS_PER_SECOND if len(fast) else None
