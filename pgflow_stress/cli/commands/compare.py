"""`compare`: a statistical verdict between results."""

from __future__ import annotations

from pathlib import Path

import click

from pgflow_stress.cli.later import NOT_YET
from pgflow_stress.cli.param_types import Percent, Several
from pgflow_stress.core.errors import UsageFault

_DEFAULT_PRIMARY = "execute.per_second"


@click.command(short_help="A statistical verdict between results.")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path), metavar="BASE CANDIDATE...")
@click.option(
    "--primary", metavar="METRIC", default=_DEFAULT_PRIMARY, show_default=True,
    help="What the comparison is about: decided at 5 %; all other metrics share 5 % by Holm's rule.",
)  # fmt: skip
@click.option(
    "--equivalent", type=Percent(), default="5%", show_default=True, metavar="X%",
    help="Call two sides equivalent where they are shown to lie within this.",
)  # fmt: skip
@click.option(
    "--fail-on", multiple=True, type=Several(), metavar="COND",
    help="'METRIC<-N%' or 'METRIC>+N%': exit 6 where it is worse by more; may be repeated.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit 5 where a gate, without gates the primary metric, cannot be told.")
@click.option("--json", "json_", metavar="PATH|-", help="Every figure as JSON; - is standard output.")
@click.option(
    "--format", "format_", type=click.Choice(["text", "md"]), default="text", show_default=True,
    help="text: to standard error; md: Markdown to standard output.",
)  # fmt: skip
@click.option("--interleave", is_flag=True, help="Measure both sides now, in turns (not available yet).")
@click.option(
    "--vary", multiple=True, type=Several(), metavar="NAME=A,B", help="What differs between them (not available yet)."
)
@click.pass_context
def compare(
    ctx: click.Context,
    results: tuple[Path, ...],
    primary: str,
    equivalent: float,
    fail_on: tuple[str, ...],
    strict: bool,
    json_: str | None,
    format_: str,
    interleave: bool,
    vary: tuple[str, ...],
) -> None:
    """Hold each CANDIDATE against BASE: directories, result.json files, indexes, what --json wrote.

    A verdict is better, worse, equivalent within ±X %, no difference shown, or cannot tell. It takes five counted
    repetitions a side. Between results of different sessions better and worse are said only beyond the noise between
    sessions. Several scenarios are compared one by one.
    """
    if interleave or vary:
        raise UsageFault(f"compare {'--interleave' if interleave else '--vary'} {NOT_YET}")
    if len(results) < 2:
        raise UsageFault("compare takes two results: compare BASE CANDIDATE")
    from pgflow_stress.cli.comparing import CompareRequest, execute  # noqa: PLC0415  --help is to be quick

    request = CompareRequest(results[0], results[1:], primary, equivalent, fail_on, strict, json_, format_ == "md")
    ctx.exit(execute(request))
