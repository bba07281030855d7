"""`compare`: a verdict between results or two sides that are measured now, or ours held against another way."""

from __future__ import annotations

from pathlib import Path

import click

from pgflow_stress.cli.param_types import Percent, Repetitions, Several
from pgflow_stress.cli.run_options import run_parameters
from pgflow_stress.cli.sources import typed
from pgflow_stress.cli.varying import VaryingCommand, sides
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.engine.rivals import RIVALS

_DEFAULT_PRIMARY = "execute.per_second"
_DEFAULT_PAIRS = 10
_MOST_PAIRS = 100_000


@click.command(cls=VaryingCommand, short_help="A statistical verdict between results.")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path), metavar="BASE CANDIDATE... | SCENARIO")
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
@click.option("--json", metavar="PATH|-", help="Every figure as JSON; - is standard output.")
@click.option(
    "--format", "format_", type=click.Choice(["text", "md"]), default="text", show_default=True,
    help="text: to standard error; md: Markdown to standard output.",
)  # fmt: skip
@click.option(
    "--interleave", is_flag=True,
    help="Measure SCENARIO now, both sides in turns; --vary and every option below are for it.",
)  # fmt: skip
@click.option(
    "--vary", multiple=True, metavar="NAME=A,B",
    help="What differs between base and candidate: any option of run, as workers=1,2 or pgflow=0.8.1,DIR, or a "
    "server's setting, as pg-setting.work_mem=4MB,64MB (a server each).",
)  # fmt: skip
@click.option(
    "--repetitions", "-r", type=Repetitions(1, _MOST_PAIRS), default=_DEFAULT_PAIRS, show_default=True,
    metavar="N|auto",
    help="Pairs that count; a verdict takes 5. auto: as many as find a difference of --precision, by a pilot of 10.",
)  # fmt: skip
@click.option(
    "--against", type=click.Choice(list(RIVALS)),
    help="Measure single-flow now with one worker, in turns with another way to do the same: pgbench sending the same "
    "statements, the loop inside the server, or the statements of pgflow's old benchmark script.",
)  # fmt: skip
@click.pass_context
def compare(ctx: click.Context, /, **_values: object) -> None:
    """Hold each CANDIDATE against BASE: directories, result.json files, indexes, what --json wrote.

    A verdict is better, worse, equivalent within ±X %, no difference shown, or cannot tell. It takes five counted
    repetitions a side. Between results of different sessions better and worse are said only beyond the noise between
    sessions. Several scenarios are compared one by one.

    With --output PAGE.html the comparison goes into a page of its own: verdict, intervals, distributions overlaid.

    With --against each pair is a turn of ours and one of the other's, on fresh databases, in random order; tasks are
    counted in the database on both sides. Told is ours / theirs with its interval, and no verdict.

    With --interleave both sides of one SCENARIO are measured now: in pairs, in random order, each repetition on a
    database of its own. Options that are not varied are those of `run`, and hold for both.
    """
    from pgflow_stress.cli.comparing import Asked, CompareRequest, execute  # noqa: PLC0415  --help is to be quick

    values = ctx.params
    if values["against"]:
        from pgflow_stress.cli.against import against_request  # noqa: PLC0415
        from pgflow_stress.cli.against import execute as hold_against  # noqa: PLC0415

        ctx.exit(hold_against(against_request(ctx)))
    asked = Asked(
        values["primary"],
        values["equivalent"],
        values["fail_on"],
        values["strict"],
        values["json"],
        values["format_"] == "md",
        None if values["interleave"] else values["output"],
    )
    if values["interleave"]:
        from pgflow_stress.cli.interleaving import execute as measure  # noqa: PLC0415

        ctx.exit(measure(asked, sides(ctx, values["vary"], _OF_RUN)))
    _refuse_measuring(ctx)
    results: tuple[Path, ...] = values["results"]
    if len(results) < 2:
        raise UsageFault("compare takes two results: compare BASE CANDIDATE")
    ctx.exit(execute(CompareRequest(results[0], results[1:], asked)))


def _refuse_measuring(ctx: click.Context) -> None:
    """What is read was measured already: an option that would have shaped it is a misunderstanding."""
    if ctx.params["vary"]:
        raise UsageFault("--vary is for compare --interleave, which measures both sides now")
    for option in (*_OF_RUN, next(one for one in compare.params if one.name == "repetitions")):
        if option.name and option.name != "output" and typed(ctx, option.name):
            raise UsageFault(f"{max(option.opts, key=len)} is for compare --interleave: results are read as they are")


_OWN = frozenset(option.name for option in compare.params)
_OF_RUN = tuple(option for option in run_parameters() if option.name not in _OWN)
compare.params += _OF_RUN
