"""The recorder: what keeping an event costs beside the clock read that it needs in any case."""

from __future__ import annotations

import numpy as np

from pgflow_stress.core.arena import BUCKETS, ERROR_DTYPE, ERROR_SLOTS, PROCESS_WORDS, STATS
from pgflow_stress.core.calibration import Figure, Part, ratio
from pgflow_stress.core.operations import Operation
from pgflow_stress.core.recording import EVENT_DTYPE
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.calibration.ground import Ground
from pgflow_stress_hot.recorder import Region, record_cost_ns

_REPEATS = 9
_ROWS = 4096  # used over and over: 256 KiB, which a core's own cache holds
_LEAST_EVENTS, _MOST_EVENTS = 10_000, 20_000_000
_REACH = 1.2  # a record with its clock read, over the clock read alone


def private_region(rows: int) -> Region:
    """A region in private memory."""
    return Region(
        np.zeros(PROCESS_WORDS, dtype=np.int64),
        np.zeros(rows * EVENT_DTYPE.itemsize, dtype=np.uint8),
        np.zeros((len(Operation), BUCKETS), dtype=np.int64),
        np.zeros((len(Operation), STATS), dtype=np.int64),
        np.zeros(ERROR_SLOTS, dtype=ERROR_DTYPE).view(np.uint8),
    )


def measure(ground: Ground) -> Part:
    """Each repeat times a loop that reads the clock and records, then one that only reads the clock."""
    region = private_region(_ROWS)
    with ground.as_worker():
        probe_ns = sum(record_cost_ns(region, _LEAST_EVENTS))
        events = int(ground.seconds * NS_PER_SECOND / probe_ns / _REPEATS)
        events = max(_LEAST_EVENTS, min(_MOST_EVENTS, events))
        repeats = [record_cost_ns(region, events) for _ in range(_REPEATS)]
    recorded, alone = [one for one, _ in repeats], [other for _, other in repeats]
    figures = {
        "clock_and_record_ns": Figure("ns", tuple(recorded)),
        "clock_ns": Figure("ns", tuple(alone)),
        "record_to_clock_ratio": ratio(recorded, alone, reach=_REACH, at_most=True),
    }
    return Part(figures, {"events_a_repeat": events, "row_bytes": EVENT_DTYPE.itemsize})
