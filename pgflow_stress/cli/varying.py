"""`--vary NAME=A,B`: one command line becomes several requests of `run` that differ in what is varied.

Each request is parsed as if its values had been typed: whatever `run` refuses is refused here, in the same words.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from pgflow_stress.cli.config import outside_name
from pgflow_stress.cli.old_script import OldScriptCommand
from pgflow_stress.cli.own_flows import implied_scenario
from pgflow_stress.cli.request import RunRequest, run_request
from pgflow_stress.cli.run_options import option_name
from pgflow_stress.cli.sources import typed
from pgflow_stress.core.errors import UsageFault

PG_SETTING = "pg-setting"
_ARGUMENTS = "pgflow_stress.cli.varying"
# Where results go, what may be touched, and what both sides share: the engine has one order of turns and one pinning.
FIXED = frozenset(
    {"dsn", "direct-dsn", "yes-on", "allow-remote", "pin", "repetitions", "warmup", "full", "observer-cost"}
    | {"threshold", "strict", "precision", "probe-client", "progress", "quiet", "output", "json", "config"}
    | {"prometheus"}
)


@dataclass(frozen=True, slots=True)
class Variation:
    """What is varied: an option's long name without dashes, or pg-setting.NAME; of a comparison base's value first."""

    name: str
    values: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the requests are called."""
        return tuple(f"{self.name}={value}" for value in self.values)

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

    @property
    def labels(self) -> tuple[str, str]:
        """What the sides are called."""
        base, candidate = self.variation.labels
        return base, candidate


class VaryingCommand(OldScriptCommand):
    """A command that remembers its arguments, so that they can be parsed once more with a value put in."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep them, then parse."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


def parse_vary(text: str, *, many: bool = False) -> Variation:
    """Read NAME=A,B, or NAME=A;B where a value has a comma in it; with `many` one value or more.

    Raises:
        UsageFault: not of this form.
    """
    name, equals, values = text.partition("=")
    name = name.strip().removeprefix("--").replace("_", "-") if "." not in name else _dotted_name(name)
    parts = tuple(part.strip() for part in values.split(";" if ";" in values else ","))
    if not (name and equals and (many or len(parts) == 2) and all(parts)):
        form, count = ("NAME=A,B,C", "values") if many else ("NAME=A,B", "two values")
        raise UsageFault(
            f"--vary {text!r}: give {form}, {count} of an option of run or of pg-setting.NAME; "
            f"{form.partition('=')[2].replace(',', ';')} where a comma is part of one"
        )
    return Variation(name, parts)


def _dotted_name(name: str) -> str:
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
    check_variation(ctx, variation, run_options)
    names: tuple[object, ...] = ctx.params["results"]
    if len(names) != 1 and not (not names and implied_scenario(ctx.params)):
        raise UsageFault("compare --interleave measures one scenario: compare --interleave --vary NAME=A,B SCENARIO")
    for name in ("observer_cost", "telemetry_cost", "probe_client"):
        if ctx.params[name]:
            raise UsageFault(f"compare --interleave has pairs of its own: --{name.replace('_', '-')} is for run")
    arguments = arguments_of(ctx)
    base, candidate = (
        request_of(ctx, [*as_typed(variation, value), *arguments], names="results") for value in variation.values
    )
    return Sides(variation, base, candidate)


def arguments_of(ctx: click.Context) -> tuple[str, ...]:
    """What was typed behind a VaryingCommand's name; to be taken once, as inner contexts share the meta."""
    arguments: tuple[str, ...] = ctx.meta[_ARGUMENTS]
    return arguments


def check_variation(
    ctx: click.Context,
    variation: Variation,
    run_options: Sequence[click.Parameter],
    fixed: frozenset[str] = FIXED,
) -> None:
    """Refuse what cannot be varied, or is typed as well.

    Raises:
        UsageFault: one of the two; what is near an unknown name is told.
    """
    _check_name(variation, [outside_name(option).replace("_", "-") for option in run_options], fixed)
    _check_not_typed(ctx, variation)


def _check_name(variation: Variation, known: Sequence[str], fixed: frozenset[str]) -> None:
    if variation.setting:
        return
    if variation.name in fixed:
        raise UsageFault(f"--vary {variation.name}: it is the same for all that is compared")
    if variation.name == PG_SETTING:
        raise UsageFault(f"--vary {PG_SETTING}: name the setting, as in {PG_SETTING}.work_mem=4MB,64MB")
    if variation.name not in known:
        varied = sorted(set(known) - fixed)
        near = difflib.get_close_matches(variation.name, varied, n=3, cutoff=0.5) or ["workers", "completion", "pgflow"]
        raise UsageFault(f"--vary: run has no option {variation.name!r}; near it: {', '.join(near)}")


def _check_not_typed(ctx: click.Context, variation: Variation) -> None:
    if variation.setting:
        settings = (text.partition("=")[0].strip().lower() for text in ctx.params["pg_setting"])
        is_typed = variation.setting in settings
    else:
        is_typed = any(typed(ctx, name) for name in (variation.name.replace("-", "_"), option_name(variation.name)))
    if is_typed:
        raise UsageFault(f"--vary {variation.name}: it is given by itself as well; leave one of the two out")


def as_typed(variation: Variation, value: str) -> list[str]:
    """The arguments that give what is varied this value."""
    if variation.setting:
        return [f"--{PG_SETTING}", f"{variation.setting}={value}"]
    return [f"--{variation.name}", value]


def request_of(ctx: click.Context, arguments: Sequence[str], *, names: str) -> RunRequest:
    """The request of this command with other arguments; `names` is the parameter that holds the scenarios.

    Raises:
        UsageFault, click.UsageError: what `run` refuses.
    """
    prefix = ctx.auto_envvar_prefix
    inner = ctx.command.make_context(ctx.info_name, [*arguments], parent=ctx.parent, auto_envvar_prefix=prefix)
    with inner:
        inner.params["scenario"] = tuple(map(str, inner.params[names]))
        # --strict and --json are the comparison's.
        request = run_request(inner)
    if any(plan.options.soak for plan in request.plans):
        raise UsageFault("--soak is one long load by itself: leave it out of what is compared")
    return replace(request, strict=False, json=None)
