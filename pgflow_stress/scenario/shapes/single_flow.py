"""High-frequency completion of one run's independent steps."""

from __future__ import annotations

from dataclasses import replace

from pgflow_stress.scenario.flow import independent_steps
from pgflow_stress.scenario.shapes.base import STEPS, Shape, one_shape

SHAPE = Shape(
    summary="one flow with many independent steps, one run",
    explains=(
        "Every task belongs to one run, and complete_task locks that run's row: completions queue behind one another "
        "however many workers there are. It shows the cost of a completion, not how pgflow scales."
    ),
    parameters=(replace(STEPS, default=800),),
    size="steps",
    default_flows=1,
    scales_steps=True,
    steps_variable="STEP_COUNT",
    build=one_shape(lambda values: independent_steps(int(values["steps"]))),
)
