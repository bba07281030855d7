"""`calibrate`: clock, recorder, client, disk and in-server ceilings of this machine."""

from __future__ import annotations

import click

from pgflow_stress.cli.param_types import Duration, Pin
from pgflow_stress.cli.request import target_options as target_of
from pgflow_stress.cli.run_options import target_options
from pgflow_stress.engine.calibration import MEASUREMENTS

_DEFAULT_SECONDS = 0.5  # the whole is then done in about half a minute
_MOST_SECONDS = 3600.0


@click.command(short_help="Clock, recorder, client, disk and in-server ceilings of this machine.")
@click.option(
    "--only", type=click.Choice(list(MEASUREMENTS)), multiple=True, help="Measure this alone; may be repeated."
)
@click.option(
    "--seconds", type=Duration(0.01, _MOST_SECONDS), default=_DEFAULT_SECONDS, metavar="S",
    help=f"Length of one repeat of one measurement.  [default: {_DEFAULT_SECONDS:g}]",
)  # fmt: skip
@click.option(
    "--pin", type=Pin(), default=None, metavar="ROLE=CPUS,...",
    help="CPUs of worker (our client, and pgbench likewise) and postgres: worker=0,postgres=1.",
)  # fmt: skip
@target_options
@click.option("--json", "json_", type=click.Path(allow_dash=True), metavar="PATH|-", help="Every figure as JSON.")
@click.pass_context
def calibrate(
    ctx: click.Context,
    /,
    only: tuple[str, ...],
    seconds: float,
    pin: tuple[tuple[str, tuple[int, ...]], ...] | None,
    json_: str | None,
    **_target: object,
) -> None:
    """Measure what bounds every number here: the clock, the recorder, the client, the disk, pgflow in the server.

    The client is measured in turns with pgbench where one is found. Figures are medians with their range; what could
    not be measured says why. Later results on this machine and server quote them.
    """
    from pgflow_stress.cli.calibrating import CalibrateRequest, execute  # noqa: PLC0415  --help is to be quick

    request = CalibrateRequest(target_of(ctx), only or tuple(MEASUREMENTS), seconds, pin or (), json_)
    ctx.exit(execute(request))
