"""Steps one after another."""

from __future__ import annotations

from pgflow_stress.scenario.flow import chained_steps
from pgflow_stress.scenario.shapes.base import Parameter, Shape, one_shape

SHAPE = Shape(
    summary="steps that follow one another, many runs at once",
    explains=(
        "Each completion makes the next step ready: it updates that step's state, sends its message and starts it. A "
        "run has one task at a time, so throughput needs many runs in flight, and a run takes at least as many cycles "
        "as it has steps."
    ),
    parameters=(Parameter("depth", "Steps of a chain, one after another.", 10, 1, 100_000),),
    size="depth",
    default_flows=10,
    default_runs=100,
    build=one_shape(lambda values: chained_steps(int(values["depth"]))),
)
