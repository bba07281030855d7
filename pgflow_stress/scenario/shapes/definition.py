"""Flows that are created and never run."""

from __future__ import annotations

from pgflow_stress.scenario.flow import FlowShape, Step
from pgflow_stress.scenario.shapes.base import STEPS, Parameter, Shape, Values, one_shape


def _build(values: Values) -> FlowShape:
    most = int(values["dependencies"])
    return FlowShape(
        tuple(Step(f"s{index}", tuple(range(max(0, index - most), index))) for index in range(int(values["steps"])))
    )


SHAPE = Shape(
    summary="creating flows only: no run is started",
    explains=(
        "create_flow makes a queue, two tables with their indexes and a sequence; add_step looks its dependencies up, "
        "so that its cost grows with their number."
    ),
    parameters=(
        STEPS,
        Parameter("dependencies", "Of each step, on the steps just before it.", 1, 0, 1000),
    ),
    size="steps",
    default_flows=200,
    starts=False,
    build=one_shape(_build),
)
