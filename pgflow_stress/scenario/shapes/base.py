"""What a scenario says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pgflow_stress.scenario.flow import FlowShape


@dataclass(frozen=True, slots=True)
class Shape:
    """A scenario: its summary, its defaults, and the flow that a number of steps gives."""

    summary: str
    explains: str  # what it shows and what limits it, for `scenarios describe`
    default_steps: int
    default_flows: int
    scales_steps: bool  # whether --scale multiplies the steps as well
    steps_variable: str | None  # the old script's variable for its steps
    flows_variable: str | None  # and for its flows
    build: Callable[[int], FlowShape]
    default_runs: int | None = None  # None: a run of each flow
