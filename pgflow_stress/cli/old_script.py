"""The variables of the script that this tool replaces: below everything else but the defaults.

DATABASE_URL, the last of them, is read where the target is chosen (target.choice).
"""

from __future__ import annotations

import os
import re

import click

from pgflow_stress.cli.sources import given, note_source
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.shapes.base import Shape

COMPLETION_BATCH_SIZE = "COMPLETION_BATCH_SIZE"
MAX_COMPLETION_TIME_MS = "MAX_COMPLETION_TIME_MS"


class OldScriptCommand(click.Command):
    """A command whose defaults come from the old variables, before a file is read over them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the old variables' values in, as text that is parsed like typed text."""
        defaults = dict(ctx.default_map or {})
        if size := os.environ.get(COMPLETION_BATCH_SIZE):
            defaults["completion_batch_size"] = size
            note_source(ctx, "completion_batch_size", COMPLETION_BATCH_SIZE)
        if milliseconds := os.environ.get(MAX_COMPLETION_TIME_MS):
            defaults["timeout"] = _duration(milliseconds)
            note_source(ctx, "timeout", MAX_COMPLETION_TIME_MS)
        ctx.default_map = defaults
        return super().parse_args(ctx, args)


def _duration(milliseconds: str) -> str:
    if re.fullmatch(r"\d+(?:\.\d+)?", milliseconds.strip()):
        return f"{milliseconds.strip()}ms"
    return f"{milliseconds} ms"  # no duration, and refused with this text


def scenario_size(ctx: click.Context, name: str, shape: Shape) -> int | None:
    """--steps or --flows of one scenario: as given anywhere, else the old script's variable for it, else None.

    Raises:
        UsageFault: the variable holds no such number.
    """
    value: int | None = ctx.params[name]
    variable = shape.steps_variable if name == "steps" else shape.flows_variable
    text = os.environ.get(variable) if variable else None
    if given(ctx, name) or not text:
        return value
    parameter = next(p for p in ctx.command.params if p.name == name)
    try:
        return int(parameter.type.convert(text, parameter, ctx))
    except click.BadParameter as error:
        raise UsageFault(f"{variable}: {error.message.rstrip('.')}") from None
