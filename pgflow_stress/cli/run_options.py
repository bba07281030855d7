"""The options of `run`, in the order of its help. Names here are those of variables and of keys in a file as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click import Choice, option

from pgflow_stress.cli.param_types import (
    Duration,
    EmptyPollType,
    Finite,
    Percent,
    PgflowSource,
    PgSetting,
    Pin,
    Repetitions,
    Several,
    Whole,
    Work,
)
from pgflow_stress.scenario.options import Mode, Orphans, RunOptions, default_workers
from pgflow_stress.scenario.plan import MOST_HISTORY, MOST_USUAL_HISTORY
from pgflow_stress.scenario.schedule import Arrival, Late
from pgflow_stress.scenario.shapes import own_parameters, owners
from pgflow_stress.scenario.shapes.base import Parameter
from pgflow_stress.target.base import Isolation, TargetOptions

MOST_SECONDS = 30 * 24 * 3600.0
MOST_PAYLOAD_BYTES = 200_000_000  # a jsonb string holds at most 2^28 - 1
MOST_WORKERS = 1000
DEFAULT_RECONNECT_SECONDS = 30.0
MOST_AT_ONCE = 100_000  # tasks of one statement, messages of one poll
MOST_POOL = 40
MOST_DELAY_MS = 60_000.0
DEFAULT_PRECISION = "5%"
MOST_CLIENT_DELAY_US = 10_000_000.0
MOST_PORT = 65_535
MOST_COUNT = 100_000_000  # whether the whole can be run is for the plan to say

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_DEFAULT = RunOptions(workers=1)
_TARGET = TargetOptions()


def _modes(name: str, default: Mode, what: str) -> Callable[[Decorated], Decorated]:
    return option(name, type=Choice([str(mode) for mode in Mode]), default=str(default), show_default=True, help=what)


_LOAD = (
    option("--workers", "-w", type=Whole(1, MOST_WORKERS), default=default_workers, metavar="N",
           help="Worker processes, a connection each.  [default: a core each, at most 8]"),
    option("--steps", type=Whole(1, MOST_COUNT), metavar="N",
           help="Steps of a flow, or what the scenario has instead.  [default: the scenario's]"),
    option("--flows", type=Whole(1, MOST_COUNT), metavar="N", help="Flow definitions.  [default: the scenario's]"),
    option("--runs", type=Whole(1, MOST_COUNT), metavar="N",
           help="Runs started, dealt round the flows.  [default: a run of each flow]"),
    option("--scale", type=Finite(0, 1e6, min_open=True), default=_DEFAULT.scale, show_default=True, metavar="F",
           help="Multiplies the scenario's runs, flows and sizes, at least 1 each."),
    option("--payload", type=Whole(0, MOST_PAYLOAD_BYTES), default=_DEFAULT.payload_bytes, show_default=True,
           metavar="BYTES", help="Size of a task's output."),
    option("--seed", type=Whole(0, 2**63 - 1), default=_DEFAULT.seed, show_default=True, metavar="N",
           help="Of whatever is random."),
)  # fmt: skip


def option_name(parameter: str) -> str:
    """What click calls the option of a scenario's parameter."""
    return f"scenario_{parameter.replace('-', '_')}"


def _of_scenario(parameter: Parameter) -> Callable[[Decorated], Decorated]:
    """An option of its own for a parameter that only some scenarios have; what it may be is for the scenario to say."""
    return option(f"--{parameter.name}", option_name(parameter.name), metavar=parameter.kind,
                  help=f"{parameter.help}  [of {', '.join(owners(parameter.name))}]")  # fmt: skip


_SCENARIO = (
    *(_of_scenario(parameter) for parameter in own_parameters().values()),
    option("--param", "-p", type=Several(), multiple=True, metavar="NAME=VALUE",
           help="A parameter of the scenario, as `scenarios describe` lists them; of a mix's part: chain.depth=5."),
    option("--deal", default=str(_DEFAULT.deal), show_default=True, metavar="even|hot:SHARE|zipf:S",
           help="How runs are dealt to flows: alike, a share of them to the first, or by rank."),
)  # fmt: skip

_HOW = (
    _modes("--creation", _DEFAULT.creation, "How flows, steps and runs are sent: a statement each and waited for; a "
           "statement and a Sync each, bounded in flight; one statement for many."),
    _modes("--completion", _DEFAULT.completion, "How completions are sent, likewise."),
    option("--completion-batch-size", type=Whole(1, MOST_AT_ONCE), default=_DEFAULT.completion_batch_size,
           show_default=True, metavar="N", help="Completions of one statement."),
    option("--poll-size", type=Whole(1, MOST_AT_ONCE), default=_DEFAULT.poll_size, show_default=True, metavar="N",
           help="Messages of one poll, at most."),
    option("--in-flight-statements", type=Whole(1, 10_000), default=_DEFAULT.in_flight_statements,
           show_default=True, metavar="N", help="Statements of a pipeline in flight, at most."),
    option("--empty-poll", type=EmptyPollType(), default=str(_DEFAULT.empty_poll), show_default=True,
           metavar="spin|sleep:MS|read-with-poll:S,MS", help="What an idle worker does."),
    option("--vt", type=Whole(1, 24 * 3600), metavar="S",
           help="Visibility given to read, in seconds.  [default: 15, more where the measured cycle needs it]"),
    option("--client-delay", type=Finite(0, MOST_CLIENT_DELAY_US), default=0.0, metavar="US",
           help="Spends so much CPU time more on each task in the worker, for testing.  [default: 0]"),
    option("--probe-client", is_flag=True,
           help="Interleaves repetitions with one more worker, and with 10 % more client cost a task: what holds the "
           "rate?"),
    option("--worker-model", type=Choice(["ceiling", "edge-worker"]), default=_DEFAULT.worker_model, show_default=True,
           help="Ours at its fastest, or pgflow's own worker reproduced, statement by statement."),
    option("--work", type=Work(), metavar="TIME|STEP=TIME,…",
           help="Simulates what a task's handler takes, without a busy client: 20ms, step=20ms,other=lognormal(5ms,2), "
           "exponential(10ms)."),
    option("--concurrency", type=Whole(1, MOST_AT_ONCE), metavar="N",
           help="Tasks in hand a worker, of edge-worker or with --work.  [default: 10 of edge-worker, else what a poll "
           "brings]"),
    option("--max-pg-connections", type=Whole(1, MOST_POOL), default=_DEFAULT.max_pg_connections, show_default=True,
           metavar="N", help="Connections of an edge-worker."),
    option("--heartbeat-interval", type=Duration(0.001, 3600), default=_DEFAULT.heartbeat_seconds, metavar="S",
           help=f"Between two heartbeats of an edge-worker.  [default: {_DEFAULT.heartbeat_seconds:g}]"),
    option("--orphans", type=Choice([str(choice) for choice in Orphans]), default=str(_DEFAULT.orphans),
           show_default=True, help="What is done with the tasks that a dead worker had claimed."),
    option("--pin", type=Pin(), default=None, metavar="ROLE=CPUS,...",
           help="CPUs of coordinator, worker (dealt round), observer and postgres: worker=0-1,3,postgres=2."),
)  # fmt: skip

_HOW_LONG = (
    option("--repetitions", "-r", type=Repetitions(1, 100_000), default=_DEFAULT.repetitions, show_default=True,
           metavar="N|auto", help="Repetitions that count; auto: as many as --precision takes, by a pilot of 10."),
    option("--precision", type=Percent(), default=DEFAULT_PRECISION, show_default=True, metavar="X%",
           help="With --repetitions auto: half the 95 % interval of execute.per_second; in compare --interleave the "
           "difference of the primary metric that is found with a power of 90 %."),
    option("--warmup", type=Whole(0, 100_000), default=_DEFAULT.warmup, show_default=True, metavar="N",
           help="Repetitions before them, discarded."),
    option("--timeout", type=Duration(0.001, MOST_SECONDS), default=_DEFAULT.timeout_seconds, metavar="S",
           help=f"Most time of one repetition.  [default: {_DEFAULT.timeout_seconds:g}]"),
    option("--drain-timeout", type=Duration(0, MOST_SECONDS), default=_DEFAULT.drain_timeout_seconds, metavar="S",
           help=f"Most time for claimed tasks after an interrupt.  [default: {_DEFAULT.drain_timeout_seconds:g}]"),
    option("--stall-timeout", type=Duration(0.1, MOST_SECONDS), default=_DEFAULT.stall_timeout_seconds, metavar="S",
           help=f"Most time without progress.  [default: {_DEFAULT.stall_timeout_seconds:g}]"),
    option("--full", is_flag=True,
           help="As long as the validity rules ask for, sized by a pilot; says how long before it starts."),
    option("--purpose", type=Choice(["compare", "capacity"]), default=_DEFAULT.purpose, show_default=True,
           help="Fresh and quiet, or aged and with checkpoints."),
    option("--history", type=Whole(0, MOST_HISTORY), metavar="N",
           help="Ages the database by N tasks finished through pgflow before anything is measured.  [default: 0; for "
           f"capacity twice those of a repetition, at most {MOST_USUAL_HISTORY:,}]"),
    option("--planner-statistics", type=Choice(["none", "backlog"]), default=_DEFAULT.planner_statistics,
           show_default=True,
           help="What the server's planner knows: as after a migration, or as autovacuum would tell it of the drained "
           "backlog, taken once all runs are started."),
)  # fmt: skip

_OPEN_LOOP = (
    option("--rate", "-R", type=Finite(0, 1e9, min_open=True), metavar="N",
           help="Open load: runs started per second, by starters apart from the workers."),
    option("--stages", metavar="S:N,…", help="Open load in stages, seconds:runs a second of each: 30s:100,60s:200."),
    option("--arrival", type=Choice([str(kind) for kind in Arrival]), default=str(_DEFAULT.arrival), show_default=True,
           help="Spacing of an open load's runs."),
    option("--late", type=Choice([str(kind) for kind in Late]), default=str(_DEFAULT.late), show_default=True,
           help="What becomes of a run that is more than one spacing late when a starter gets to it."),
    option("--in-flight", type=Whole(1, MOST_COUNT), metavar="N", help="Closed load: runs in flight."),
    option("--starters", type=Whole(1, MOST_WORKERS), metavar="N",
           help="Starter processes of an open or closed load.  [default: as many as it needs, at most 16]"),
    option("--duration", "-T", type=Duration(0.001, MOST_SECONDS), metavar="S",
           help="How long runs of an open or closed load are started; those started are finished."),
)  # fmt: skip

_FAULTS = (
    option(
        "--fault",
        type=Several(),
        multiple=True,
        metavar="SPEC",
        help="Strikes while workers work: NAME@30s, NAME@every 10s or NAME@random:5/60s (by the seed), with :20s "
        "behind it where it lasts; an unknown name lists them.  [several]",
    ),
    option(
        "--reconnect-budget",
        type=Duration(0, MOST_SECONDS),
        metavar="S",
        help="How long workers try to have a lost connection again, with growing pauses; 0: a worker that loses it is "
        f"replaced.  [default: {DEFAULT_RECONNECT_SECONDS:g} with faults, else 0]",
    ),
)

_INTERFERENCE = (
    option("--interference", type=Several(), multiple=True, metavar="KIND",
           help="What else goes on: held-xmin, bloat, checkpoints, cpu:N, history:N, idle-connections:N, bystander; "
           "with @30s:60s for a part of the window. Each is shown to take hold, and felt by a bystander.  [several]"),
)  # fmt: skip

_SOAK = (
    option("--soak", is_flag=True,
           help="A long open load, told window by window: what drifts, by how much an hour, and what fills up when."),
    option("--prune", type=Several(), multiple=True, metavar="SQL@TIME",
           help="In a soak: a retention job of your own, run and timed every so long.  [several]"),
)  # fmt: skip

_OBSERVER = (
    option("--events", type=Choice(["none", "notify", "wal", "realtime"]), default=_DEFAULT.events, show_default=True,
           help="Watches pgflow's events, each accounted for: by LISTEN, by logical replication, or as an application "
           "gets them from Supabase Realtime (pip install 'pgflow-stress[realtime]')."),
    option("--realtime-url", metavar="URL",
           help="Supabase Realtime: wss://PROJECT.supabase.co/realtime/v1, or ws://localhost:4000/socket."),
    option("--realtime-key", metavar="KEY",
           help="The project's API key; better by its environment variable, as whoever may call ps reads options."),
    option("--realtime-jwt", metavar="JWT",
           help="That channels are joined with; likewise.  [default: the key]"),
    option("--realtime-private", is_flag=True,
           help="Joins private channels, where realtime.send was changed to send privately: pgflow sends publicly, and "
           "a private channel gets no public message."),
    option("--allow-rate-limit", is_flag=True,
           help="Lets Realtime refuse by its limits: counted, and what it did not send is named, without exit 4."),
    option("--observer-delay", type=Finite(0, MOST_DELAY_MS), default=_DEFAULT.observer_delay_ms, metavar="MS",
           help="Slows the observer by so much an event, for testing.  [default: 0]"),
    option("--observer-cost", is_flag=True,
           help="Interleaves repetitions with and without the observer and prints what it costs."),
)  # fmt: skip

_TELEMETRY = (
    option("--telemetry", type=Choice(["off", "light", "full"]), default=_DEFAULT.telemetry, show_default=True,
           help="A sampler beside the run: memory and CPU of every process, what backends wait for, the host. Full "
           "looks oftener and deeper, and costs more."),
    option("--telemetry-interval", type=Duration(0.1, 3600), default=_DEFAULT.telemetry_interval_seconds, metavar="S",
           help=f"Between two readings, aligned to the clock.  [default: {_DEFAULT.telemetry_interval_seconds:g}]"),
    option("--telemetry-cost", is_flag=True,
           help="Interleaves repetitions with and without telemetry and prints what it costs."),
    option("--pooler-admin-dsn", metavar="DSN", help="PgBouncer's console, whose pools are then sampled too."),
)  # fmt: skip

_SERVER = (
    option("--dsn", metavar="DSN", help="The database.  [default: DATABASE_URL, else libpq's PGHOST, PGSERVICE or "
           "PGDATABASE, else the embedded server]"),
    option("--direct-dsn", metavar="DSN", help="The same database past a pooler, where --dsn goes through one: for "
           "what needs a session of its own."),
    option("--isolation", type=Choice([str(kind) for kind in Isolation]),
           help="A database a repetition from a template; a new one; unique slugs in the given one.  "
           "[default: clone on the embedded server, prefix on a given one]"),
    option("--yes-on", type=Several(), multiple=True, metavar="NAME",
           help="Consent to use this database, where the target was not typed."),
    option("--allow-remote", is_flag=True, help="Consent to a host that is neither loopback nor a socket."),
    option("--pgflow", type=PgflowSource(), default=_TARGET.pgflow, show_default=True, metavar="VERSION|DIR",
           help="Which migrations: an npm version or a directory of them."),
    option("--pg-setting", type=PgSetting(), multiple=True, metavar="NAME=VALUE",
           help="A setting of the embedded server."),
)  # fmt: skip

_TARGETS = (
    *_SERVER,
    option("--realtime-send", type=Choice(["supabase", "insert", "notify", "noop"]), default=_TARGET.realtime_send,
           show_default=True, help="Body of realtime.send."),
)  # fmt: skip

_OUTPUT = (
    option("--threshold", type=Several(), multiple=True, metavar="COND",
           help="A gate, as 'process.per_second>900'; exit 6 where it does not hold."),
    option("--limit", type=Several(), multiple=True, metavar="NAME=VALUE",
           help="Another number for a validity rule, as min_phase_seconds=20; an unknown name lists them."),
    option("--strict", is_flag=True, help="Exit 5 where the measurement is invalid or a gate is undecided."),
    option("--progress", "-P", type=Duration(0.1, MOST_SECONDS), metavar="S", help="A progress line every S seconds."),
    option("--prometheus", type=Whole(0, MOST_PORT), metavar="PORT",
           help="Where it stands, at http://127.0.0.1:PORT/metrics for a Prometheus, for as long as it goes on; 0: any "
           "port that is free, and told."),
    option("--quiet", "-q", is_flag=True, help="Nothing but errors on standard error."),
    option("--output", "-o", type=click.Path(), metavar="DIR",
           help="Where results go.  [default: ./pgflow-stress-results/<UTC>-<scenario>/]"),
    option("--json", type=click.Path(allow_dash=True), metavar="PATH|-",
           help="The result as one JSON document; without --output no directory is written."),
)  # fmt: skip

OPTIONS: Sequence[Callable[[Any], Any]] = (
    *_LOAD,
    *_SCENARIO,
    *_HOW,
    *_HOW_LONG,
    *_OPEN_LOOP,
    *_FAULTS,
    *_INTERFERENCE,
    *_SOAK,
    *_OBSERVER,
    *_TELEMETRY,
    *_TARGETS,
    *_OUTPUT,
)


def run_options(function: Decorated) -> Decorated:
    """Give a command every option of `run`."""
    return _decorated(function, OPTIONS)


def run_parameters() -> list[click.Option]:
    """The options of `run`, made anew, for a command that has some of them under its own words."""

    @run_options
    def nothing() -> None:
        """Only carries them."""

    return [one for one in click.command(nothing).params if isinstance(one, click.Option)]


def add_run_parameters(command: click.Command, without: frozenset[str], defaults: Mapping[str, Any]) -> None:
    """Give a command the options of `run` that it has not under its own words, with some other defaults.

    Args:
        without: names of those that it does not take.
        defaults: by name.
    """
    own = {parameter.name for parameter in command.params}
    for one in run_parameters():
        if one.name not in own | without:
            one.default = defaults.get(str(one.name), one.default)
            command.params.append(one)


def target_options(function: Decorated) -> Decorated:
    """Give a command the options that say which database, and what may be done to it."""
    return _decorated(function, _TARGETS)


def server_options(function: Decorated) -> Decorated:
    """The same, for a command that has a realtime.send of its own."""
    return _decorated(function, _SERVER)


def _decorated(function: Decorated, options: Sequence[Callable[[Any], Any]]) -> Decorated:
    for decorate in reversed(options):
        function = decorate(function)
    return function
