"""A user's own options of flows and steps, as arguments of create_flow and add_step.

They are constants of the prepared statement, looked up by slug, so that the hot loop sends the same parameters whatever
is created. An option that no step has is no argument, so that one text fits every version of pgflow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pgflow_stress.scenario.flow import NO_OPTIONS, FlowOptions, StepOptions
from pgflow_stress.scenario.workload import Workload

# Of add_step: name, the field that has it, the type that its JSON text is cast to.
STEP_ARGUMENTS = (
    ("max_attempts", "max_attempts", "int"),
    ("base_delay", "base_delay_seconds", "int"),
    ("timeout", "timeout_seconds", "int"),
    ("start_delay", "start_delay_seconds", "int"),
    ("required_input_pattern", "required", "jsonb"),
    ("forbidden_input_pattern", "forbidden", "jsonb"),
    ("when_unmet", "when_unmet", "text"),
    ("when_exhausted", "when_exhausted", "text"),
)
_DEFAULTS = {"when_unmet": "skip", "when_exhausted": "fail"}  # of pgflow's add_step, where a text is
_FLOW_ARGUMENTS = (
    ("max_attempts", "max_attempts"),
    ("base_delay", "base_delay_seconds"),
    ("timeout", "timeout_seconds"),
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """SQL that follows the arguments of either call: `, max_attempts => …`."""

    of_flow: bytes
    of_step: bytes


def arguments_of(work: Workload, slug_prefix: str, flow: str, step: str) -> Arguments | None:
    """What the measured flows of a workload are created with; None where that is pgflow's own.

    Args:
        slug_prefix: of the repetition; flows that are primed on get none of a step's options.
        flow, step: SQL of the slugs in the statement.
    """
    of_shapes = [shape.options for shape in work.shapes]
    if not any(of_shapes) and all(one.options == NO_OPTIONS for one in work.steps):
        return None
    measured = f"starts_with({flow}, '{slug_prefix}f')"
    of_step = "".join(
        f", {name} => case when {measured} then ({_constant(values)} ->> {step})::{kind} end"
        if name not in _DEFAULTS
        else f", {name} => coalesce(case when {measured} then {_constant(values)} ->> {step} end, '{_DEFAULTS[name]}')"
        for name, kind, values in _by_slug(work)
    )
    of_flow = ""
    if all(of_shapes):
        number = f"case when {measured} then substr({flow}, {len(slug_prefix) + 2})::int else 0 end"
        of_flow = "".join(f", {name} => {_by_flow(work, field, number)}" for name, field in _FLOW_ARGUMENTS)
    return Arguments(of_flow.encode(), of_step.encode())


def step_options(options: StepOptions) -> dict[str, Any]:
    """What is said of a step, as arguments of add_step by name; what pgflow takes anyway is left out."""
    said: dict[str, Any] = {}
    for name, field, kind in STEP_ARGUMENTS:
        value = getattr(options, field)
        if value is not None and value != _DEFAULTS.get(name):
            said[name] = json.loads(value) if kind == "jsonb" else value
    return said


def _by_slug(work: Workload) -> list[tuple[str, str, dict[str, Any]]]:
    said = {step.slug: step_options(step.options) for step in work.steps}
    found = [
        (name, kind, {slug: one[name] for slug, one in said.items() if name in one}) for name, _, kind in STEP_ARGUMENTS
    ]
    return [(name, kind, values) for name, kind, values in found if values]


def _by_flow(work: Workload, field: str, number: str) -> str:
    values = [getattr(shape.options, field) for shape in work.shapes if isinstance(shape.options, FlowOptions)]
    if len(set(values)) == 1:
        return str(values[0])
    counts = [work.shape_of.count(shape) for shape in range(len(values))]
    firsts = ",".join(str(first) for first in accumulate(counts[:-1]))
    return f"(array[{','.join(map(str, values))}])[1 + width_bucket({number}, array[{firsts}])]"


def _constant(value: object) -> str:
    text = json.dumps(value).replace("'", "''")
    return f"'{text}'::jsonb"
