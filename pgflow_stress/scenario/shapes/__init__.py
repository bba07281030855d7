"""Flow shapes, one file each; a new one is a file and a line here."""

from __future__ import annotations

from pgflow_stress.scenario.shapes import (
    chain,
    concurrent_flows,
    dag,
    definition,
    fan,
    map_steps,
    mix,
    own_flow,
    retries,
    single_flow,
)
from pgflow_stress.scenario.shapes.base import Parameter, Shape

SHAPES: dict[str, Shape] = {
    "single-flow": single_flow.SHAPE,
    "concurrent-flows": concurrent_flows.SHAPE,
    "chain": chain.SHAPE,
    "fan": fan.SHAPE,
    "map": map_steps.SHAPE,
    "retries": retries.SHAPE,
    "definition": definition.SHAPE,
    "mix": mix.SHAPE,
    "dag": dag.SHAPE,
    own_flow.NAME: own_flow.SHAPE,
}


def own_parameters() -> dict[str, Parameter]:
    """Every parameter that some scenario has, by name, but for `steps`, which is an option of its own."""
    return {
        parameter.name: parameter
        for shape in SHAPES.values()
        for parameter in shape.parameters
        if parameter.name != "steps"
    }


def owners(parameter: str) -> list[str]:
    """The scenarios that have a parameter."""
    return [name for name, shape in SHAPES.items() if parameter in {own.name for own in shape.parameters}]
