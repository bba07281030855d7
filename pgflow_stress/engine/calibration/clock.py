"""The clock of every stamp, CLOCK_MONOTONIC: its resolution, what a read costs, the smallest step that it makes."""

from __future__ import annotations

from pgflow_stress.core.calibration import Figure, Part
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.calibration.ground import Ground
from pgflow_stress_hot.clock import read_cost_ns, resolution_ns, smallest_step_ns

_REPEATS = 7
_PROBE_READS = 100_000
_LEAST_READS, _MOST_READS = 10_000, 50_000_000


def measure(ground: Ground) -> Part:
    """Each repeat reads the clock for its share of the time, in one loop without the GIL."""
    with ground.as_worker():
        probe_ns = read_cost_ns(_PROBE_READS)
        reads = int(ground.seconds * NS_PER_SECOND / probe_ns / _REPEATS)
        reads = max(_LEAST_READS, min(_MOST_READS, reads))
        costs = tuple(read_cost_ns(reads) for _ in range(_REPEATS))
        steps = tuple(float(smallest_step_ns(reads)) for _ in range(_REPEATS))
    figures = {
        "resolution_ns": Figure("ns", (float(resolution_ns()),)),
        "read_cost_ns": Figure("ns", costs),
        "smallest_step_ns": Figure("ns", steps),
    }
    return Part(figures, {"clock": "CLOCK_MONOTONIC", "reads_a_repeat": reads})
