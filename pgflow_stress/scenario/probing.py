"""`--probe-client`: what is changed in which repetition. Each kind comes once in a turn, in an order that is drawn."""

from __future__ import annotations

import random

from pgflow_stress.core.probes import Probe
from pgflow_stress.scenario.options import RunOptions


def probe_at(options: RunOptions, index: int) -> Probe:
    """What is changed in a repetition; nothing in a warm-up. One seed, one order."""
    turn, place = divmod(index - options.warmup, len(Probe))
    if not options.probe_client or index < options.warmup:
        return Probe.AS_IS
    kinds = list(Probe)
    random.Random(f"{options.seed} probe {turn}").shuffle(kinds)
    return kinds[place]


def repetitions_of_each(options: RunOptions) -> int:
    """Repetitions that run for each one that counts, itself among them."""
    if options.probe_client:
        return len(Probe)
    return 2 if options.observer_cost or options.telemetry_cost else 1
