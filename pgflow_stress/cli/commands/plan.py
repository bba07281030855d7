"""`plan`: what a rate asks for, out of measured costs a task."""

from __future__ import annotations

from pathlib import Path

import click

from pgflow_stress.cli.old_script import OldScriptCommand
from pgflow_stress.cli.param_types import Duration
from pgflow_stress.cli.run_options import MOST_SECONDS, add_run_parameters

_DEFAULT_SECONDS = 5.0
# The target says what is run, and the loads it is measured under are its own.
_NOT_OF_RUN = frozenset(
    {"rate", "stages", "in_flight", "late", "arrival", "starters", "runs", "duration", "full", "threshold", "strict"}
    | {"observer_cost", "telemetry_cost", "telemetry", "probe_client", "precision", "fault", "reconnect_budget"}
    | {"steps", "param", "scale", "events", "observer_delay", "output", "history", "limit", "planner_statistics"}
    | {"realtime_url", "realtime_key", "realtime_jwt", "realtime_private", "allow_rate_limit"}
)


@click.command(cls=OldScriptCommand, short_help="What a rate asks for, from measured costs a task.")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULT]...")
@click.option(
    "--target", required=True, metavar="TEXT",
    help="The rate and the scenario: '5000 runs/s of chain(5)', '2e6 tasks/day of fan(width=20)'.",
)  # fmt: skip
@click.option(
    "--seconds", type=Duration(0.5, MOST_SECONDS), default=_DEFAULT_SECONDS, metavar="S",
    help=f"How long a repetition lasts where costs are measured now.  [default: {_DEFAULT_SECONDS:g}]",
)  # fmt: skip
@click.pass_context
def plan(ctx: click.Context, /, **_values: object) -> None:
    """Say what a rate asks for: cores, WAL, disk, XIDs, connections, events against Realtime's quotas.

    Costs a task are those of each RESULT, of the target's scenario and size; without one they are measured now, under
    two closed loads: a run in flight a worker, so that polls bring little, and as many as fill them. Each figure has an
    interval that a new measurement should lie in, and says what it rests on. No latency is extrapolated.
    """
    from pgflow_stress.cli.plan_request import plan_request  # noqa: PLC0415
    from pgflow_stress.cli.planning import execute  # noqa: PLC0415  --help is to be quick

    ctx.exit(execute(plan_request(ctx)))


add_run_parameters(plan, _NOT_OF_RUN, {})
