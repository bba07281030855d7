"""Steps one after another."""

from __future__ import annotations

from pgflow_stress.scenario.flow import chained_steps
from pgflow_stress.scenario.shapes.base import Shape

SHAPE = Shape(
    summary="steps that follow one another, many runs at once",
    explains=(
        "Each completion makes the next step ready: it updates that step's state, sends its message and starts it. A run "
        "has one task at a time, so throughput needs many runs in flight, and a run takes at least as many cycles as it "
        "has steps."
    ),
    default_steps=10,
    default_flows=10,
    default_runs=100,
    scales_steps=False,
    steps_variable=None,
    flows_variable=None,
    build=chained_steps,
)
