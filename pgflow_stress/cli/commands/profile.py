"""`profile`: where the time goes when the CPU is saturated."""

from __future__ import annotations

import click

from pgflow_stress.cli.old_script import OldScriptCommand
from pgflow_stress.cli.run_options import add_run_parameters

# What makes repetitions of another kind, or offers less than all that the server takes.
_NOT_OF_RUN = frozenset(
    {"rate", "stages", "arrival", "late", "observer_cost", "telemetry_cost", "probe_client", "precision", "telemetry"}
    | {"soak", "prune"}
)
_OTHER_DEFAULTS = {"repetitions": 1}


@click.command(cls=OldScriptCommand, short_help="Where the time goes when the CPU is saturated.")
@click.argument("scenario", required=False)
@click.option(
    "--perf/--no-perf", default=True, show_default=True,
    help="Sample call graphs of workers and backends, where Linux's perf is there and may; for speedscope.",
)  # fmt: skip
@click.pass_context
def profile(ctx: click.Context, /, **_values: object) -> None:
    """Saturate the target with SCENARIO, and say where the time went.

    The job of `run`, by two workers a core. Told is the split between client, wire and server; the server's CPU time of
    a task by function and nested statement, each without what it calls; what backends waited for; the most that one run
    reaches. With --flow or --flow-slug SCENARIO may be left out. Without a size it is as large as the validity rules
    ask for, by a pilot. The embedded server is one of its own, that has pg_stat_statements and track_functions; of a
    given server what it does not show is named. Options not named here are those of `run`.
    """
    from pgflow_stress.cli.profiling import profile_request  # noqa: PLC0415  --help is to be quick
    from pgflow_stress.cli.running import execute  # noqa: PLC0415

    ctx.exit(execute(profile_request(ctx)))


add_run_parameters(profile, _NOT_OF_RUN, _OTHER_DEFAULTS)
