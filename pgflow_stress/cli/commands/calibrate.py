"""`calibrate`: clock, recorder, client, disk and in-server ceilings of this machine."""

from __future__ import annotations

import click

from pgflow_stress.cli.param_types import Duration, Pin, Whole
from pgflow_stress.cli.request import target_options as target_of
from pgflow_stress.cli.run_options import target_options
from pgflow_stress.cli.sources import given
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.engine.calibration import MEASUREMENTS

_DEFAULT_SECONDS = 0.5  # the whole is then done in about half a minute
_MOST_SECONDS = 3600.0
_DEFAULT_SESSIONS = 5  # as many as it takes for compare to use them
_MOST_SESSIONS = 40  # that are kept


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
@click.option(
    "--noise", is_flag=True,
    help="Measure the noise between sessions instead: the same small job, each time with new processes and a server "
    "booted anew. Sessions are kept; compare uses them from the fifth on.",
)  # fmt: skip
@click.option(
    "--noise-sessions", type=Whole(1, _MOST_SESSIONS), default=_DEFAULT_SESSIONS, show_default=True, metavar="N",
    help="With --noise: how many sessions are added.",
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
    noise: bool,
    noise_sessions: int,
    **_target: object,
) -> None:
    """Measure what bounds every number here: the clock, the recorder, the client, the disk, pgflow in the server.

    The client is measured in turns with pgbench where one is found. Figures are medians with their range; what could
    not be measured says why. Later results on this machine and server quote them.
    """
    if noise:
        from pgflow_stress.cli.noise import NoiseRequest  # noqa: PLC0415
        from pgflow_stress.cli.noise import execute as measure_noise  # noqa: PLC0415

        if only:
            raise UsageFault("--noise measures nothing else: leave --only out")
        ctx.exit(measure_noise(NoiseRequest(target_of(ctx), noise_sessions, json_)))
    if given(ctx, "noise_sessions"):
        raise UsageFault("--noise-sessions is for --noise: give that as well")
    from pgflow_stress.cli.calibrating import CalibrateRequest, execute  # noqa: PLC0415  --help is to be quick

    request = CalibrateRequest(target_of(ctx), only or tuple(MEASUREMENTS), seconds, pin or (), json_)
    ctx.exit(execute(request))
