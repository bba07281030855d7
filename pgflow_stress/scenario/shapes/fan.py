"""One step, then many at once, then one that waits for all of them."""

from __future__ import annotations

from pgflow_stress.scenario.flow import fanned_steps
from pgflow_stress.scenario.shapes.base import Shape

SHAPE = Shape(
    summary="a step, then many at once (fan-out), then one that waits for all of them (fan-in)",
    explains=(
        "The first completion starts every step of the middle in one transaction; each of theirs locks the run and counts "
        "the last step's dependencies down, and the last of them gives that step all their outputs as its input. "
        "--steps is the width of the middle."
    ),
    default_steps=10,
    default_flows=10,
    default_runs=100,
    scales_steps=False,
    steps_variable=None,
    flows_variable=None,
    build=fanned_steps,
)
