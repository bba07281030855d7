"""`sweep`: a grid over any options, measured in rounds, resumable."""

from __future__ import annotations

import click

from pgflow_stress.cli.param_types import Duration, Whole
from pgflow_stress.cli.run_options import MOST_SECONDS, run_parameters
from pgflow_stress.cli.varying import VaryingCommand

_DEFAULT_METRIC = "execute.per_second"
_DEFAULT_CONFIRM = 5
_DEFAULT_MOST_CONFIRMED = 6


@click.command(cls=VaryingCommand, short_help="A grid over any options, randomised and interleaved, resumable.")
@click.argument("scenario", nargs=-1, metavar="SCENARIO")
@click.option(
    "--vary", multiple=True, metavar="NAME=A,B,…",
    help="What is varied, as often as wanted: any option of run, scenario, a setting of the embedded server "
    "(pg-setting.work_mem=4MB,64MB), what --apply-command sets (apply.shared_buffers=1GB,4GB).",
)  # fmt: skip
@click.option(
    "--metric", metavar="METRIC", default=_DEFAULT_METRIC, show_default=True, help="By which cells are ranked.",
)  # fmt: skip
@click.option(
    "--confirm", type=Whole(0, 1000), default=_DEFAULT_CONFIRM, show_default=True, metavar="N",
    help="Fresh repetitions of the best cell and of those that may be as good: only they recommend one. 0: none.",
)  # fmt: skip
@click.option(
    "--most-confirmed", type=Whole(1, 1000), default=_DEFAULT_MOST_CONFIRMED, show_default=True, metavar="N",
    help="Cells that are confirmed, at most.",
)  # fmt: skip
@click.option(
    "--budget", type=Duration(1, MOST_SECONDS), metavar="S",
    help="No repetition is begun after this; rounds share it evenly among the cells.",
)  # fmt: skip
@click.option(
    "--apply-command", metavar="CMD",
    help="Run by the shell before cells whose apply.NAME differ, these in PGFLOW_STRESS_APPLY_NAME; what did not take "
    "fails the cell.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the sweep in --output, whatever ended it.")
@click.option("--yes", is_flag=True, help="However many cells there are.")
@click.option("--strict", is_flag=True, help="A failed cell, or a budget too small, decides the exit code.")
@click.option("--json", metavar="PATH|-", help="Every figure as JSON; - is standard output.")
@click.pass_context
def sweep(ctx: click.Context, /, **_values: object) -> None:
    """Measure SCENARIO with every combination of what is varied.

    Each round measures every cell once, in random order, each repetition on a database of its own; so a machine that
    changes meanwhile changes all cells alike. A cell that fails is an outcome, told with its code. What is measured is
    kept at once: --resume goes on after a kill. At the end: how each cost grows along each axis, how throughput scales
    with workers, and the best cell, confirmed by fresh repetitions.

    Options that are not varied are those of `run`, and hold for all cells.
    """
    from pgflow_stress.cli.grid import grid_of  # noqa: PLC0415  --help is to be quick
    from pgflow_stress.cli.sweeping import SweepRequest, execute  # noqa: PLC0415

    values = ctx.params
    grid = grid_of(ctx, values["vary"], _OF_RUN, yes=values["yes"], applies=values["apply_command"] is not None)
    ctx.exit(
        execute(
            SweepRequest(
                grid=grid,
                metric=values["metric"],
                confirm=values["confirm"],
                most_confirmed=values["most_confirmed"],
                budget_seconds=values["budget"],
                apply_command=values["apply_command"],
                resume=values["resume"],
                strict=values["strict"],
                output=values["output"],
                json=values["json"],
                quiet=values["quiet"],
                progress_seconds=values["progress"],
                prometheus=values["prometheus"],
            )
        )
    )


_OWN = frozenset(option.name for option in sweep.params)
_OF_RUN = tuple(option for option in run_parameters() if option.name not in _OWN)
sweep.params += _OF_RUN
