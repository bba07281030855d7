"""Where an option's value came from, so that a message can name it."""

from __future__ import annotations

import click
from click.core import ParameterSource

_META = "pgflow_stress.cli.sources"


def note_source(ctx: click.Context, parameter: str, source: str) -> None:
    """Remember which key of which file, or which variable, the default map's value of a parameter is from."""
    ctx.meta.setdefault(_META, {})[ctx.command_path, parameter] = source


def variable(ctx: click.Context, parameter: str) -> str:
    """The environment variable of a parameter: PGFLOW_STRESS_<COMMAND>_<OPTION>."""
    named = next((p.envvar for p in ctx.command.params if p.name == parameter), None)
    if isinstance(named, str):
        return named
    return f"{ctx.auto_envvar_prefix}_{parameter.upper()}"


def typed(ctx: click.Context, parameter: str) -> bool:
    """Whether its value was typed on the command line."""
    return ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def given(ctx: click.Context, parameter: str) -> bool:
    """Whether its value was given anywhere at all."""
    return ctx.get_parameter_source(parameter) not in (None, ParameterSource.DEFAULT)


def source_of(ctx: click.Context, parameter: str) -> str | None:
    """The variable, or the file and key, that a value is from; None for a typed one or a default."""
    match ctx.get_parameter_source(parameter):
        case ParameterSource.ENVIRONMENT:
            return variable(ctx, parameter)
        case ParameterSource.DEFAULT_MAP:
            source: str | None = ctx.meta.get(_META, {}).get((ctx.command_path, parameter))
            return source
        case _:
            return None
