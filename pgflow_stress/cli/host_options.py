"""The options of `run` that are about several hosts: one host's part by hand, or all hosts by an engine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click import option

from pgflow_stress.cli.param_types import AUTO, Duration
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.target.base import Isolation, TargetOptions
from pgflow_stress.target.choice import choose_target

if TYPE_CHECKING:  # it brings psycopg
    from pgflow_stress.engine.hosts.gate import Gate

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

TOLD = "-"
_MOST_HOSTS = 1000
_HOST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LOCAL = re.compile(r"local:(\d{1,4})")
_DAY_SECONDS = 86_400
_PATIENCE_SECONDS = 60.0  # beyond its own time-out, for the other hosts
# What is of one host, is counted by one observer, or strikes the server that all hosts load.
_ALONE = (
    "observer_cost",
    "telemetry_cost",
    "probe_client",
    "full",
    "history",
    "planner_statistics",
    "fault",
    "interference",
    "soak",
    "prometheus",
)


class StartTime(click.ParamType[Any]):
    """A moment by the database's clock, ns since 1970; or -: it is told on standard input."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """ISO 8601, in UTC where no zone is given."""
        text = str(value).strip()
        if isinstance(value, int) or text == TOLD:
            return value if isinstance(value, int) else text
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is not a time: give 2026-05-04T12:00:00Z, or - to be told", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000) * (NS_PER_SECOND // 1000)


class HostId(click.ParamType[str]):
    """A host's name among the others."""

    name = "host-id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, if it can be the name of a folder."""
        text = str(value).strip()
        if not _HOST_ID.fullmatch(text):
            self.fail(f"{text!r}: give letters, digits, . _ -, at most 63, the first a letter or digit", param, ctx)
        return text


class Hosts(click.ParamType[str]):
    """Where agents run: a Dask scheduler's address, or so many on this machine."""

    name = "hosts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, checked for its form."""
        text = str(value).strip()
        found = _LOCAL.fullmatch(text)
        if found and 1 <= int(found[1]) <= _MOST_HOSTS:
            return text
        if not re.fullmatch(r"(tcp|tls)://\S+:\d{1,5}", text):
            self.fail(f"{text!r}: give the address of a Dask scheduler, tcp://HOST:8786, or local:N", param, ctx)
        return text


_OPTIONS = (
    option("--hosts", type=Hosts(), metavar="tcp://HOST:PORT|local:N",
           help="Loads the database from several hosts: an agent a host of this Dask scheduler, or N of them here. "
           "Workers, runs, flows and the rate are over all hosts."),
    option("--host-id", type=HostId(), metavar="NAME",
           help="By hand: this is one host of several, each with its part of the load, on one prepared database. "
           "`report --merge` puts their results together."),
    option("--start-at", type=StartTime(), metavar="TIME|-",
           help="With --host-id: when the first repetition starts, by the database's clock, as 2026-05-04T12:00:00Z; "
           "-: a line on standard output says that it is ready, one on standard input when to start."),
    option("--start-every", type=Duration(1, _DAY_SECONDS), metavar="S",
           help="With --start-at: from one repetition's start to the next one's."),
)  # fmt: skip


def host_options(function: Decorated) -> Decorated:
    """Give a command these options."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


@dataclass(frozen=True, slots=True)
class HostPart:
    """This process is one host of several."""

    host_id: str
    start_at_ns: int | None  # by the database's clock; None: it is told
    every_ns: int

    def make_gate(self, patience_seconds: float) -> Gate:
        """The gate before its windows."""
        from pgflow_stress.engine.hosts.gate import Gate  # noqa: PLC0415  as above
        from pgflow_stress.engine.hosts.starts import Starts, TimedStarts, ToldStarts  # noqa: PLC0415

        told: Starts = ToldStarts() if self.start_at_ns is None else TimedStarts(self.start_at_ns, self.every_ns)
        return Gate(self.host_id, told, patience_seconds + _PATIENCE_SECONDS)


def local_hosts(hosts: str) -> int | None:
    """How many agents are to run on this machine; None where a scheduler has them."""
    found = _LOCAL.fullmatch(hosts)
    return int(found[1]) if found else None


def checked_hosts(values: Mapping[str, Any], target: TargetOptions, scenarios: int) -> HostPart | None:
    """The part that this process has of a load over several hosts, if it is one of them.

    Raises:
        UsageFault: options that do not go together.
    """
    hosts, host_id = values.get("hosts"), values.get("host_id")
    if hosts is None and host_id is None:
        for name in ("start_at", "start_every"):
            if values.get(name) is not None:
                raise UsageFault(f"--{name.replace('_', '-')} is for one host of several: give --host-id as well")
        return None
    which = "--hosts" if hosts is not None else "--host-id"
    if hosts is not None and (host_id is not None or values["start_at"] is not None):
        raise UsageFault("--hosts starts its agents itself: leave --host-id and --start-at out")
    if scenarios != 1:
        raise UsageFault(f"{which} loads a database with one scenario at a time: give one SCENARIO")
    if values["events"] != "none":
        raise UsageFault(f"{which}: an observer is of one host; leave --events out, or observe from another run")
    for name in _ALONE:
        if values[name] and values[name] != "none":
            raise UsageFault(f"{which} does not go with --{name.replace('_', '-')}: leave it out")
    if values["repetitions"] == AUTO:
        raise UsageFault(f"{which}: give --repetitions a number")
    if values.get("scenario_flow_slug"):
        raise UsageFault(f"{which}: a deployed flow is driven by one host; leave --flow-slug out")
    return None if hosts is not None else _part(values, target)


def _part(values: Mapping[str, Any], target: TargetOptions) -> HostPart:
    start_at, every = values["start_at"], values["start_every"]
    if start_at is None:
        raise UsageFault("--host-id: the hosts start together; give --start-at TIME, the same to each")
    if start_at == TOLD and values["json"] == TOLD:
        raise UsageFault("--start-at - and --json - both want standard output: give --json a file")
    if target.isolation not in (None, Isolation.PREFIX) or choose_target(target, os.environ).embedded:
        raise UsageFault(
            "--host-id: the hosts share one prepared database; give --dsn (or DATABASE_URL), no --isolation but prefix"
        )
    repetitions = values["repetitions"] + values["warmup"]
    if start_at != TOLD and every is None and repetitions > 1:
        raise UsageFault(
            f"--start-at says when the first of {repetitions} repetitions starts: give --start-every S for the others, "
            "or --repetitions 1 --warmup 0"
        )
    every_ns = round((every or 0.0) * NS_PER_SECOND)
    return HostPart(values["host_id"], None if start_at == TOLD else start_at, every_ns)
