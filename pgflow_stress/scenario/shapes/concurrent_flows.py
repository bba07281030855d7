"""Many small flows at once."""

from __future__ import annotations

from pgflow_stress.scenario.flow import independent_steps
from pgflow_stress.scenario.shapes.base import STEPS, Shape, one_shape

SHAPE = Shape(
    summary="many flows with a few independent steps each, a run of each",
    explains=(
        "Runs do not share a row, so throughput grows with workers until the server's cores are busy. Each flow has a "
        "queue of its own: the number of flows is also the number of tables that are polled."
    ),
    parameters=(STEPS,),
    size="steps",
    default_flows=80,
    steps_variable="STEPS_PER_FLOW",
    flows_variable="CONCURRENT_FLOWS",
    build=one_shape(lambda values: independent_steps(int(values["steps"]))),
)
