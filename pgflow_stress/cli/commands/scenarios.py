"""`scenarios`: list, describe and validate them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pgflow_stress.cli.later import NOT_YET
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.streams import say
from pgflow_stress.core.errors import UsageFault
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
    shape = SHAPES.get(name)
    if shape is None:
        raise UsageFault(f"unknown scenario {name!r}; there are: {', '.join(SHAPES)}")
    if json:
        _write({name: shape}, json)
        return
    say(f"{name}: {shape.summary}\n\n{shape.explains}\n")
    for option, value in _defaults(shape).items():
        say(f"  --{option} {value}")


@scenarios.command()
@click.argument("file", type=click.Path(path_type=Path))
def validate(file: Path) -> None:  # noqa: ARG001  scenario files come later
    """Check a scenario FILE (not available yet: it says so and ends with exit code 2)."""
    raise UsageFault(f"scenarios validate {NOT_YET}")


def _show(json: str | None) -> None:
    if json:
        _write(SHAPES, json)
        return
    width = max(map(len, SHAPES))
    for name, shape in SHAPES.items():
        say(f"{name:<{width}}  {shape.summary}")


def _write(shapes: Mapping[str, Shape], where: str) -> None:
    check_json(where)
    write_json({"schema": SCHEMA, "scenarios": [_as_data(name, shape) for name, shape in shapes.items()]}, where)


def _defaults(shape: Shape) -> dict[str, int]:
    return {"steps": shape.default_steps, "flows": shape.default_flows, "runs": shape.default_runs or shape.default_flows}


def _as_data(name: str, shape: Shape) -> dict[str, Any]:
    return {"name": name, "summary": shape.summary, "explains": shape.explains, "defaults": _defaults(shape)}
