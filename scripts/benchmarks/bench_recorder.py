"""Recording an event with its clock read ÷ the clock read alone."""

from __future__ import annotations

import mmap

import numpy as np

from pairs import Figure, arguments, report
from pgflow_stress.core.arena import Arena, ArenaSize
from pgflow_stress.engine.pinning import pin
from pgflow_stress_hot.recorder import Region, record_cost_ns

EVENTS = 2_000_000


def main() -> None:
    """Print the figure; a pair is one loop of each right after the other."""
    given = arguments(__doc__ or "")
    pin([given.client_cpu])
    arena = Arena(ArenaSize(processes=1, flows=1, runs=1, tasks=1, rows=1 << 18))
    arena.row_bytes(0)[:: mmap.PAGESIZE] = 0
    region = Region(arena.words[0], arena.row_bytes(0), arena.counts[0], arena.stats[0], arena.errors[0].view(np.uint8))
    found = [record_cost_ns(region, EVENTS) for _ in range(given.pairs)]
    a, b = [pair[0] for pair in found], [pair[1] for pair in found]
    report([Figure("clock read + record of an event / clock read", "ns", a, b, "<= 1.2")], given.output)


if __name__ == "__main__":
    main()
