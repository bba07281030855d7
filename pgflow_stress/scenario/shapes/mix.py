"""Flows of different shapes at once, by weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.failing import Failing
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.shapes import chain, concurrent_flows, fan, map_steps, retries
from pgflow_stress.scenario.shapes.base import Built, Parameter, Shape, Value, Values
from pgflow_stress.scenario.workload import with_distinct_slugs

PARTS: dict[str, Shape] = {
    "concurrent-flows": concurrent_flows.SHAPE,
    "chain": chain.SHAPE,
    "fan": fan.SHAPE,
    "map": map_steps.SHAPE,
    "retries": retries.SHAPE,
}


def weights_of(text: str) -> dict[str, float]:
    """Read `chain:2,fan:1`.

    Raises:
        UsageFault: not of this form, an unknown scenario, one twice, or weights that add up to nothing.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition(":"))
        if name not in PARTS:
            raise UsageFault(f"weights: {name!r} cannot be mixed; there are: {', '.join(PARTS)}")
        if name in found:
            raise UsageFault(f"weights: {name!r} is there twice")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if not 0 <= found[name] < float("inf"):
            raise UsageFault(f"weights: {part.strip()!r} is none: give scenario:weight, as in chain:2,fan:1")
    if not sum(found.values()):
        raise UsageFault(f"weights {text!r} add up to 0: nothing would be run")
    return {name: weight for name, weight in found.items() if weight}


def _parts(values: Mapping[str, Value]) -> dict[str, Shape]:
    return {name: PARTS[name] for name in weights_of(str(values["weights"]))}


def _build(values: Values, seed: int) -> Built:
    shapes: list[FlowShape] = []
    failing: Failing | None = None
    weights = weights_of(str(values["weights"]))
    for name in weights:
        inner = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(name + ".")}
        built = PARTS[name].build(inner, seed)
        if built.failing is not None:
            failing = replace(built.failing, shapes=(len(shapes),))
        shapes += built.shapes
    return Built(with_distinct_slugs(tuple(shapes)), tuple(weights.values()), failing)


SHAPE = Shape(
    summary="flows of different shapes at once, by weight",
    explains=(
        "Each part has its share of the runs and at least one flow. A part's own parameters are given with its name "
        "before them: -p chain.depth=5. Options of a flow that fails (attempts, delays) hold for all of them."
    ),
    parameters=(Parameter("weights", "Share of each part.", "concurrent-flows:2,chain:2,fan:1,map:1"),),
    default_flows=12,
    default_runs=120,
    build=_build,
    parts=_parts,
)
