"""`run`: measure one scenario or several."""

from __future__ import annotations

import click

from pgflow_stress.cli.host_options import host_options
from pgflow_stress.cli.old_script import OldScriptCommand
from pgflow_stress.cli.request import run_request
from pgflow_stress.cli.run_options import run_options


@click.command(cls=OldScriptCommand, short_help="Measure scenarios; without a name, the stock job.")
@click.argument("scenario", nargs=-1)
@run_options
@host_options
@click.pass_context
def run(ctx: click.Context, /, **_values: object) -> None:
    """Measure each SCENARIO; without one, the stock job: single-flow and concurrent-flows.

    `pgflow-stress scenarios` lists them.
    """
    request = run_request(ctx)
    if request.hosts is not None:
        from pgflow_stress.cli.hosting import execute_over_hosts  # noqa: PLC0415  --help is to be quick

        ctx.exit(execute_over_hosts(request))
    from pgflow_stress.cli.running import execute  # noqa: PLC0415  as above

    ctx.exit(execute(request))
