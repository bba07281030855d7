"""`doctor`: what here would make numbers untrustworthy, and how to mend it."""

from __future__ import annotations

import click

from pgflow_stress.cli.request import target_options as target_of
from pgflow_stress.cli.run_options import target_options


@click.command(short_help="What here would make numbers untrustworthy, and how to mend it.")
@click.option("--strict", is_flag=True, help="Exit 5 where something would make numbers untrustworthy.")
@target_options
@click.option("--json", "json_", type=click.Path(allow_dash=True), metavar="PATH|-", help="Every finding as JSON.")
@click.pass_context
def doctor(ctx: click.Context, /, strict: bool, json_: str | None, **_target: object) -> None:
    """Look at this machine, at the server and at the way to it; change nothing.

    A finding is ok, warn (numbers are other than one may think) or bad (they are not to be trusted). Exit code 0
    whatever was found, with --strict 5 where a finding is bad; 3 where the target cannot be reached. The embedded
    server is not booted: where it is down, what it would be started with is looked at.
    """
    from pgflow_stress.cli.checking_up import execute  # noqa: PLC0415  --help is to be quick

    ctx.exit(execute(target_of(ctx), json_, strict))
