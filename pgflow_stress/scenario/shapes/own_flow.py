"""The user's own flow, from the migration that pgflow's compiler emits or from a database that has it."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.failing import MOST_ATTEMPTS, Failing
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.own import OwnFlow, check_slugs
from pgflow_stress.scenario.shapes.base import Built, Parameter, Shape, Values
from pgflow_stress.scenario.workload import with_distinct_slugs

NAME = "own-flow"
FLOW, FLOW_SLUG = "flow", "flow-slug"
_GIVE = "give --flow FILE.sql, the migration that pgflow compiles, or --flow-slug NAME of one in the given database"


def _nothing(_values: Values, _seed: int) -> Built:
    raise UsageFault(_GIVE)


def _build(values: Values, seed: int, flows: Sequence[OwnFlow]) -> Built:
    if not flows:
        raise UsageFault(_GIVE)
    check_slugs(flows)
    weights = tuple(flow.weight for flow in flows)
    if not sum(weights):
        raise UsageFault("the weights of --flow add up to 0: nothing would be run")
    shapes = tuple(flow.shape(int(values["elements"])) for flow in flows)
    failing = _failing(values, seed, shapes)
    if any(flow.deployed for flow in flows):
        if len(flows) > 1:
            raise UsageFault("--flow-slug: one flow of a database at a time")
        return Built(shapes, weights, failing, deployed=flows[0].slug)
    return Built(with_distinct_slugs(shapes), weights, failing)


def _failing(values: Values, seed: int, shapes: Sequence[FlowShape]) -> Failing | None:
    probability, doomed = float(values["failure-probability"]), float(values["failing-runs"])
    if not (probability or doomed):
        return None
    attempts: list[int] = []
    for shape in shapes:
        for step in shape.steps:
            own, flows = step.options.max_attempts, shape.options.max_attempts if shape.options else 1
            attempts.append(max(1, own if own is not None else flows))
            if step.options.when_exhausted not in (None, "fail"):
                raise UsageFault(
                    f"step {step.slug!r} is skipped when its attempts are exhausted (when_exhausted): leave "
                    "--failure-probability and --failing-runs out"
                )
            if attempts[-1] > MOST_ATTEMPTS:
                raise UsageFault(
                    f"step {step.slug!r} has {attempts[-1]} attempts: at most {MOST_ATTEMPTS} where tasks fail"
                )
    return Failing(probability, doomed, max(attempts), 0, seed, tuple(range(len(shapes))), tuple(attempts))


SHAPE = Shape(
    summary="your own flow: --flow FILE.sql, as pgflow compiles it, or --flow-slug NAME in the given database",
    explains=(
        "The shape is read from the definition that the file makes in a database of the tool's own; its attempts, "
        "delays, timeouts and conditions are the measured flow's. Every map has --elements elements; what tasks give "
        "fits the maps and conditions after them. With --flow-slug the flow is driven where it is: nothing is created, "
        "and only the rows of the tool's own runs are removed."
    ),
    parameters=(
        Parameter(FLOW, "A flow's migration, or several: a.sql:3,b.sql:1, the numbers being weights.", ""),
        Parameter(FLOW_SLUG, "A flow in the given database.", ""),
        Parameter("elements", "Elements of the array, tasks of each map; 0 is an empty map.", 10, 0, 1_000_000),
        Parameter("failure-probability", "Of each attempt.", 0.0, 0, 1),
        Parameter("failing-runs", "Share of the runs in which one task fails at every attempt.", 0.0, 0, 1),
    ),
    default_flows=1,
    default_runs=100,
    build=_nothing,
    build_own=_build,
)
