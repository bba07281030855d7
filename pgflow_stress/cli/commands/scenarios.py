"""`scenarios`: list, describe and validate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.streams import say
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.presets import PRESETS, Preset, names, shape_of
from pgflow_stress.scenario.shapes import SHAPES
from pgflow_stress.scenario.shapes.base import Shape

SCHEMA = "pgflow-stress/scenarios/1"
_JSON = click.option("--json", type=click.Path(allow_dash=True), metavar="PATH|-", help="The same as data.")


@click.group(invoke_without_command=True, short_help="List, describe, validate scenarios.")
@click.pass_context
def scenarios(ctx: click.Context) -> None:
    """List, describe, validate scenarios; without a command, list them."""
    if ctx.invoked_subcommand is None:
        _show(None)


@scenarios.command("list")
@_JSON
def list_all(json: str | None) -> None:
    """List all scenarios."""
    _show(json)


@scenarios.command()
@click.argument("name")
@_JSON
def describe(name: str, json: str | None) -> None:
    """Say what the scenario NAME runs, what it shows and what limits it."""
    shape, preset = shape_of(name), PRESETS.get(name)
    if shape is None:
        raise UsageFault(f"unknown scenario {name!r}; there are: {', '.join(names())}")
    if json:
        _write([_as_data(name, shape, preset)], json)
        return
    if preset is not None:
        say(f"{name}: {preset.summary}\n\nThe same as: pgflow-stress run {preset.scenario}{_typed(preset)}\n")
    say(f"{shape.summary if preset else f'{name}: {shape.summary}'}\n\n{shape.explains}\n")
    for option, value in _defaults(shape, preset).items():
        say(f"  --{option} {value}")
    for parameter in shape.parameters:
        if parameter.name != "steps":
            say(f"  --{parameter.name} {parameter.default}  {parameter.help}")


@scenarios.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def validate(ctx: click.Context, files: tuple[str, ...]) -> None:
    """Check each scenario FILE as `run` would: everything that is wrong, with line and column; exit code 2."""
    from pgflow_stress.cli.validating import validate_files  # noqa: PLC0415  --help is to be quick

    ctx.exit(validate_files(files))


@scenarios.command()
@click.option("--json", type=click.Path(allow_dash=True), metavar="PATH|-", default="-", help="Where it goes.")
def schema(json: str) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pgflow_stress.cli.scenario_schema import schema as made  # noqa: PLC0415

    check_json(json)
    write_json(made(), json)


def _show(json: str | None) -> None:
    if json:
        shapes = [_as_data(name, shape, None) for name, shape in SHAPES.items()]
        presets = [_as_data(name, SHAPES[preset.scenario], preset) for name, preset in PRESETS.items()]
        _write([*shapes, *presets], json)
        return
    width = max(map(len, names()))
    for name, shape in SHAPES.items():
        say(f"{name:<{width}}  {shape.summary}")
    say("\npresets: a scenario under options of its own")
    for name, preset in PRESETS.items():
        say(f"{name:<{width}}  {preset.summary}: {preset.scenario}{_typed(preset)}")


def _typed(preset: Preset) -> str:
    return "".join(f" --{option} {value}" for option, value in preset.options)


def _write(found: Sequence[Mapping[str, Any]], where: str) -> None:
    check_json(where)
    write_json({"schema": SCHEMA, "scenarios": list(found)}, where)


def _defaults(shape: Shape, preset: Preset | None) -> dict[str, Any]:
    """Of the options of `run` that a scenario has its own defaults for."""
    found: dict[str, Any] = {}
    if shape.size is not None:
        found["steps"] = next(one.default for one in shape.parameters if one.name == shape.size)
    found["flows"] = shape.default_flows
    if shape.starts:
        found["runs"] = shape.default_runs or shape.default_flows
    return found | dict(preset.options if preset else ())


def _as_data(name: str, shape: Shape, preset: Preset | None) -> dict[str, Any]:
    return {
        "name": name,
        "summary": preset.summary if preset else shape.summary,
        "explains": shape.explains,
        "defaults": _defaults(shape, preset),
        "scenario": preset.scenario if preset else name,
        "parameters": [
            {"name": one.name, "help": one.help, "default": one.default, "least": one.least, "most": one.most}
            for one in shape.parameters
        ],
    }
