"""A scenario's own parameters out of the command line, environment and file, and the options that a preset gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from pgflow_stress.cli.run_options import option_name
from pgflow_stress.cli.sources import given
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.presets import PRESETS, shape_of
from pgflow_stress.scenario.shapes import own_parameters, owners
from pgflow_stress.scenario.shapes.base import Shape

LOADS = frozenset({"rate", "stages", "in_flight"})  # one of them is a load of its own


def check_parameters(ctx: click.Context, names: Sequence[str]) -> None:
    """Whether every parameter that was given belongs to one of these scenarios.

    Raises:
        UsageFault: one does not.
    """
    shapes = [shape for shape in map(shape_of, names) if shape is not None]
    known = {parameter.name for shape in shapes for parameter in shape.parameters}
    for name in own_parameters():
        if given(ctx, option_name(name)) and name not in known and len(shapes) == len(names):
            raise UsageFault(f"--{name} belongs to {', '.join(owners(name))}, and none of these is run")


def scenario_parameters(values: Mapping[str, Any], shape: Shape) -> tuple[tuple[str, str], ...]:
    """What was given of a scenario's parameters, by name; the scenario reads and checks the values.

    Raises:
        UsageFault: no NAME=VALUE, or a parameter that is given twice.
    """
    found: dict[str, str] = {}
    for parameter in shape.parameters:
        value = values.get(option_name(parameter.name))
        if value is not None:
            found[parameter.name] = value
    for text in values["param"]:
        name, equals, value = text.partition("=")
        name = name.strip().replace("_", "-")
        if not equals or not name:
            raise UsageFault(f"--param {text!r}: give NAME=VALUE, as in depth=5")
        if name in found:
            raise UsageFault(f"--param {text!r}: {name} is given twice")
        found[name] = value.strip()
    return tuple(found.items())


def with_preset(ctx: click.Context, name: str) -> Mapping[str, Any]:
    """The command's values for one scenario: a preset's options where it has them and nothing else was given."""
    preset = PRESETS.get(name)
    if preset is None:
        return ctx.params
    values = dict(ctx.params)
    own = own_parameters()
    loaded = any(given(ctx, load) for load in LOADS)
    parameters = {parameter.name: parameter for parameter in ctx.command.params}
    for option, text in preset.options:
        key = option_name(option) if option in own else option.replace("-", "_")
        if key not in parameters or given(ctx, key) or (key in LOADS and loaded):
            continue
        values[key] = parameters[key].type_cast_value(ctx, text)
    return values
