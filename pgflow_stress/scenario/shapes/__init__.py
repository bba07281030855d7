"""Flow shapes, one file each; a new one is a file and a line here."""

from __future__ import annotations

from pgflow_stress.scenario.shapes import chain, concurrent_flows, fan, single_flow
from pgflow_stress.scenario.shapes.base import Shape

SHAPES: dict[str, Shape] = {
    "single-flow": single_flow.SHAPE,
    "concurrent-flows": concurrent_flows.SHAPE,
    "chain": chain.SHAPE,
    "fan": fan.SHAPE,
}
