"""`compare --interleave --vary NAME=A,B`: one command line becomes two requests of `run` that differ in one thing.

Each side is parsed as if its value had been typed: whatever `run` refuses is refused here, in the same words.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from pgflow_stress.cli.config import outside_name
from pgflow_stress.cli.old_script import OldScriptCommand
from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.cli.sources import typed
from pgflow_stress.core.errors import UsageFault

PG_SETTING = "pg-setting"
_ARGUMENTS = "pgflow_stress.cli.varying"
# Where results go, what may be touched, and what both sides share: the engine has one order of turns and one pinning.
_FIXED = frozenset(
    {"dsn", "yes-on", "allow-remote", "pin", "repetitions", "warmup", "full", "observer-cost", "threshold", "strict"}
    | {"progress", "quiet", "output", "json", "config"}
)


@dataclass(frozen=True, slots=True)
class Variation:
    """What differs between the sides: an option's long name without dashes, or pg-setting.NAME; base's value first."""

    name: str
    values: tuple[str, str]

    @property
    def labels(self) -> tuple[str, str]:
        """What the sides are called."""
        return (f"{self.name}={self.values[0]}", f"{self.name}={self.values[1]}")

    @property
    def setting(self) -> str | None:
        """The server's setting that is varied; None where an option is."""
        head, _, tail = self.name.partition(".")
        return tail if head == PG_SETTING else None


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides' requests, base first."""

    variation: Variation
    base: RunRequest
    candidate: RunRequest


class VaryingCommand(OldScriptCommand):
    """A command that remembers its arguments, so that they can be parsed once more with a value put in."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep them, then parse."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


def parse_vary(text: str) -> Variation:
    """Read NAME=A,B, or NAME=A;B where a value has a comma in it.

    Raises:
        UsageFault: not of this form.
    """
    name, equals, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("_", "-") if "." not in name else _setting_name(name)
    parts = [part.strip() for part in values.split(";" if ";" in values else ",")]
    if not (name and equals and len(parts) == 2 and all(parts)):
        raise UsageFault(
            f"--vary {text!r}: give NAME=A,B, two values of an option of run or of pg-setting.NAME; A;B where a comma "
            "is part of one"
        )
    return Variation(name, (parts[0], parts[1]))


def _setting_name(name: str) -> str:
    head, _, tail = name.strip().removeprefix("--").partition(".")
    return f"{head.replace('_', '-')}.{tail.strip().lower()}"


def sides(ctx: click.Context, vary: Sequence[str], run_options: Sequence[click.Parameter]) -> Sides:
    """Both requests of a command line.

    Args:
        ctx: of a VaryingCommand.
        vary: what was given as --vary.
        run_options: the options that may be varied, if they are not fixed.
    Raises:
        UsageFault: not one variation of a thing that can be varied, no single scenario, or what `run` refuses.
    """
    if len(vary) != 1:
        raise UsageFault("compare --interleave takes one --vary NAME=A,B: what the two sides differ in")
    variation = parse_vary(vary[0])
    _check_name(variation, [outside_name(option).replace("_", "-") for option in run_options])
    _check_not_typed(ctx, variation)
    names: tuple[object, ...] = ctx.params["results"]
    if len(names) != 1:
        raise UsageFault("compare --interleave measures one scenario: compare --interleave --vary NAME=A,B SCENARIO")
    for option in ("observer-cost", "telemetry-cost"):
        if ctx.params[option.replace("-", "_")]:
            raise UsageFault(f"compare --interleave has pairs of its own: --{option} is for run")
    arguments: tuple[str, ...] = ctx.meta[_ARGUMENTS]  # taken once: the inner contexts share the meta
    base, candidate = (_request(ctx, [*_as_typed(variation, value), *arguments]) for value in variation.values)
    return Sides(variation, base, candidate)


def _check_name(variation: Variation, known: Sequence[str]) -> None:
    if variation.setting:
        return
    if variation.name in _FIXED:
        raise UsageFault(f"--vary {variation.name}: it is the same for both sides")
    if variation.name == PG_SETTING:
        raise UsageFault(f"--vary {PG_SETTING}: name the setting, as in {PG_SETTING}.work_mem=4MB,64MB")
    if variation.name not in known:
        varied = sorted(set(known) - _FIXED)
        near = difflib.get_close_matches(variation.name, varied, n=3, cutoff=0.5) or ["workers", "completion", "pgflow"]
        raise UsageFault(f"--vary: run has no option {variation.name!r}; near it: {', '.join(near)}")


def _check_not_typed(ctx: click.Context, variation: Variation) -> None:
    if variation.setting:
        settings = (text.partition("=")[0].strip().lower() for text in ctx.params["pg_setting"])
        is_typed = variation.setting in settings
    else:
        is_typed = typed(ctx, variation.name.replace("-", "_"))
    if is_typed:
        raise UsageFault(f"--vary {variation.name}: it is given by itself as well; leave one of the two out")


def _as_typed(variation: Variation, value: str) -> list[str]:
    if variation.setting:
        return [f"--{PG_SETTING}", f"{variation.setting}={value}"]
    return [f"--{variation.name}", value]


def _request(ctx: click.Context, arguments: list[str]) -> RunRequest:
    """The request of this command with other arguments."""
    prefix = ctx.auto_envvar_prefix
    inner = ctx.command.make_context(ctx.info_name, arguments, parent=ctx.parent, auto_envvar_prefix=prefix)
    with inner:
        inner.params["scenario"] = tuple(map(str, inner.params["results"]))
        # --strict and --json are the comparison's.
        return replace(run_request(inner), strict=False, json=None)
