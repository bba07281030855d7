"""Map steps: a task for each element of an array."""

from __future__ import annotations

from pgflow_stress.scenario.flow import FlowShape, mapped_steps
from pgflow_stress.scenario.shapes.base import Parameter, Shape, Values, one_shape


def _build(values: Values) -> FlowShape:
    return mapped_steps(
        int(values["elements"]),
        int(values["levels"]),
        root=values["source"] == "run",
        reduced=values["reduce"] == "yes",
    )


SHAPE = Shape(
    summary="map steps: an array of elements, a task for each; maps of maps, and an empty one with --elements 0",
    explains=(
        "A map over the run's own input (--source run) costs the same for each task. One over the outputs of a step or "
        "of another map reads the whole array for each of its tasks: its cost grows with the square of the elements. "
        "An empty map completes by itself, within the statement that made it ready."
    ),
    parameters=(
        Parameter("elements", "Elements of the array, tasks of each map; 0 is an empty map.", 100, 0, 1_000_000),
        Parameter("levels", "Maps one after another, each over the outputs of the one before it.", 1, 1, 40),
        Parameter("source", "Whose array the first map is over: the run's input or a step's output.", "step",
                  choices=("run", "step")),
        Parameter("reduce", "Whether a step takes the outputs of the last map.", "yes", choices=("yes", "no")),
    ),
    size="elements",
    default_flows=2,
    default_runs=10,
    build=one_shape(_build),
)  # fmt: skip
