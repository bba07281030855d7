"""One step, then many at once, then one that waits for all of them."""

from __future__ import annotations

from pgflow_stress.scenario.flow import fanned_steps
from pgflow_stress.scenario.shapes.base import Parameter, Shape, one_shape

SHAPE = Shape(
    summary="a step, then many at once (fan-out), then one that waits for all of them (fan-in)",
    explains=(
        "The first completion starts every step of the middle in one transaction; each of theirs locks the run and "
        "counts the last step's dependencies down, and that step gets all their outputs as its input."
    ),
    parameters=(Parameter("width", "Steps of the middle, that run at once.", 10, 1, 100_000),),
    size="width",
    default_flows=10,
    default_runs=100,
    build=one_shape(lambda values: fanned_steps(int(values["width"]))),
)
