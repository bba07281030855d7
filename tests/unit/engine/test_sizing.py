"""Whose region is whose: workers, then starters, then observers, then the sampler, with no gap and no overlap."""

from __future__ import annotations

import pytest

from pgflow_stress.core.arena import ArenaSize
from pgflow_stress.engine.sizing import OBSERVERS, arena_size, observer_regions, sampler_regions, starter_regions
from tests.unit.cli.helpers import parse_run


def size_of(*arguments: str) -> ArenaSize:
    return arena_size(parse_run("concurrent-flows", *arguments).plans[0])


@pytest.mark.parametrize("events", ["none", "wal"])
@pytest.mark.parametrize("telemetry", ["off", "light"])
def test_regions_follow_one_another_whoever_is_there(events: str, telemetry: str) -> None:
    size = size_of("--events", events, "--telemetry", telemetry, "--rate", "5", "--duration", "1s")
    starters, observers, samplers = starter_regions(size), observer_regions(size), sampler_regions(size)

    assert len(starters) == size.starters > 0
    assert len(observers) == (0 if events == "none" else OBSERVERS)
    assert len(samplers) == (0 if telemetry == "off" else 1)
    every = [*range(starters.start), *starters, *observers, *samplers]
    assert every == list(range(size.processes))
