"""`find-max`: the highest rate that a scenario sustains under a latency limit."""

from __future__ import annotations

import click

from pgflow_stress.cli.find_max_request import find_max_request
from pgflow_stress.cli.old_script import OldScriptCommand
from pgflow_stress.cli.param_types import Duration, Finite, Percent, Several, Whole
from pgflow_stress.cli.run_options import MOST_SECONDS, add_run_parameters

_MOST_RATE = 1e6
# What the search itself says of each window, and what has another default here.
_NOT_OF_RUN = frozenset(
    {"rate", "stages", "in_flight", "late", "runs", "duration", "repetitions", "warmup", "full", "threshold"}
    | {"observer_cost", "telemetry_cost", "probe_client", "timeout", "precision", "fault", "reconnect_budget"}
    | {"interference", "soak", "prune", "planner_statistics"}
)
_OTHER_DEFAULTS = {"purpose": "capacity", "arrival": "poisson"}


@click.command(cls=OldScriptCommand, short_help="Maximum sustainable throughput under a latency limit.")
@click.argument("scenario")
@click.option(
    "--latency-limit", "-L", multiple=True, required=True, type=Several(), metavar="COND",
    help="What has to hold, as 'execute.latency_ns.p99<50ms'; may be repeated: then all of them.",
)  # fmt: skip
@click.option(
    "--budget", type=Duration(1, MOST_SECONDS), default="15m", show_default=True, metavar="S",
    help="Most time of the whole search; the last windows of it are kept for confirming.",
)  # fmt: skip
@click.option(
    "--duration", "-T", type=Duration(0.1, MOST_SECONDS), metavar="S",
    help="How long a confirming window lasts; probes half of it, doubling a third, none shorter than its percentiles "
    "need.  [default: 10 s, more where fewer than 1000 runs or 20 beyond a percentile would be in it]",
)  # fmt: skip
@click.option(
    "--start-rate", type=Finite(0, _MOST_RATE, min_open=True), metavar="N",
    help="Runs a second of the first window.  [default: a quarter of what a short closed load reaches]",
)  # fmt: skip
@click.option(
    "--min-rate", type=Finite(0, _MOST_RATE, min_open=True), metavar="N",
    help="Nothing below it is tried.  [default: a sixteenth of the first]",
)  # fmt: skip
@click.option(
    "--max-rate", type=Finite(0, _MOST_RATE, min_open=True), metavar="N",
    help="Nothing above it is tried.  [default: 3000 tasks a second and worker]",
)  # fmt: skip
@click.option(
    "--probes", type=Whole(0, 1000), default=8, show_default=True, metavar="N",
    help="Windows in random order round the limit, before confirming.",
)  # fmt: skip
@click.option(
    "--step", type=Percent(), default="1%", show_default=True, metavar="X%",
    help="How much lower the next rate is, after one that three of three windows do not confirm.",
)  # fmt: skip
@click.option(
    "--max-growth", type=Percent(), default="1%", show_default=True, metavar="X%",
    help="Of the offered rate: what the backlog's slope, its upper 95 % bound, must be under.",
)  # fmt: skip
@click.option(
    "--timeout", type=Duration(0.001, MOST_SECONDS), metavar="S",
    help="Most time after a window for its queue to drain.  [default: as long as the window, at least 10]",
)  # fmt: skip
@click.pass_context
def find_max(ctx: click.Context, /, **_values: object) -> None:
    """Find the highest rate of SCENARIO, in runs started a second, that holds under every latency limit.

    An open load, each window on a database of its own: doubling until a window does not hold, probes in random order
    round that, a monotone fit with an interval, then the answer: the highest rate that holds in 3 of 3 fresh windows. A
    window holds if its latencies are within their limits, its backlog does not grow, its queue drains, and nothing is
    lost. Options not named here are those of `run`.
    """
    request = find_max_request(ctx)
    from pgflow_stress.cli.finding import execute  # noqa: PLC0415  --help is to be quick

    ctx.exit(execute(request))


add_run_parameters(find_max, _NOT_OF_RUN, _OTHER_DEFAULTS)
