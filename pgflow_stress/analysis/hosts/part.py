"""One host's part of a repetition, and whether several of them belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.host_clock import HostClock
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json, Repetition, Result

# What a host has a share of, or to itself.
SHARED = frozenset({"workers", "runs", "flows", "stages", "in_flight", "starters", "host_id", "vt", "pin", "tasks"})
_SAME_START_NS = 1_000_000  # told to both in whole nanoseconds


class NotTogether(Exception):
    """Why results are not those of hosts that loaded one database together."""


@dataclass(frozen=True, slots=True)
class Part:
    """One host's part of one repetition."""

    host: str
    repetition: Repetition
    histograms: Mapping[str, Histogram]  # by operation
    clock: HostClock
    origin_ns: int  # CLOCK_MONOTONIC of the host

    def server_ns(self, from_origin_ns: int) -> int:
        """A moment of it by the clock that all hosts share."""
        return self.clock.server_ns(self.origin_ns + from_origin_ns)


def part_of(host: str, repetition: Repetition, histograms: Mapping[str, Histogram]) -> Part:
    """A host's repetition with its clock.

    Raises:
        NotTogether: it has no clock that others' can be related to.
    """
    told = repetition.window.get("clock")
    if not isinstance(told, dict):
        raise NotTogether(f"{host} was measured alone: a host among several is run with --host-id and --start-at")
    if why := told.get("lost"):
        raise NotTogether(f"the clock of {host} is not known in repetition {repetition.index}: {why}")
    try:
        return Part(host, repetition, histograms, HostClock.of(told), int(told["origin_ns"]))
    except (KeyError, TypeError, ValueError):
        raise NotTogether(f"the clock of {host} in repetition {repetition.index} cannot be read") from None


def host_of(result: Result) -> str:
    """The host's name.

    Raises:
        NotTogether: it was measured alone.
    """
    host = result.scenario["parameters"].get("host_id")
    if not host:
        raise NotTogether("a result was measured alone: a host among several is run with --host-id and --start-at")
    return str(host)


def check_together(results: Sequence[Result]) -> None:
    """Whether these are the parts of one load.

    Raises:
        NotTogether: they are not; the message says in what they differ.
    """
    hosts = [host_of(result) for result in results]
    if len(hosts) < 2:
        raise NotTogether("it takes the results of at least two hosts")
    if twice := {host for host in hosts if hosts.count(host) > 1}:
        raise NotTogether(f"{min(twice)} is there twice: each host has a --host-id of its own")
    first = results[0]
    for host, other in zip(hosts[1:], results[1:], strict=True):
        for what, ours, theirs in _compared(first, other):
            if ours != theirs:
                raise NotTogether(f"{hosts[0]} and {host} differ in {what}: {_short(ours)} and {_short(theirs)}")
        _check_repetitions(hosts[0], first, host, other)


def _compared(one: Result, other: Result) -> list[tuple[str, Any, Any]]:
    pairs: list[tuple[str, Any, Any]] = [
        ("the tool's version", _version(one.tool), _version(other.tool)),
        ("scenario", one.scenario["name"], other.scenario["name"]),
        ("load model", one.load_model, other.load_model),
    ]
    mine, theirs = one.scenario["parameters"], other.scenario["parameters"]
    for name in sorted((mine.keys() | theirs.keys()) - SHARED):
        pairs.append((f"--{name.replace('_', '-')}", mine.get(name), theirs.get(name)))
    for room in ("postgres", "pgflow", "settings"):
        for name in sorted(one.environment.get(room, {}).keys() | other.environment.get(room, {}).keys()):
            if room == "postgres" and name not in ("version", "server_version_num"):
                continue  # the way to it is each host's own
            pairs.append(
                (f"{room}.{name}", one.environment[room].get(name), (other.environment.get(room) or {}).get(name))
            )
    return pairs


def _version(tool: Json) -> str:
    return f"{tool.get('version')}, revision {tool.get('revision')}"


def _check_repetitions(host: str, one: Result, other_host: str, other: Result) -> None:
    mine, theirs = ([(r.index, r.warmup) for r in result.repetitions] for result in (one, other))
    if mine != theirs:
        raise NotTogether(f"{host} has {len(mine)} repetitions, {other_host} {len(theirs)}, or others of them")
    for ours, others in zip(one.repetitions, other.repetitions, strict=True):
        clock, others_clock = ours.window.get("clock") or {}, others.window.get("clock") or {}
        where = f"repetition {ours.index} of {host} and {other_host}"
        if clock.get("server") != others_clock.get("server"):
            raise NotTogether(f"{where}: not the same database, or its server was started again in between")
        starts = [int(told.get("start_at_ns") or 0) for told in (clock, others_clock)]
        if abs(starts[0] - starts[1]) > _SAME_START_NS:
            raise NotTogether(f"{where} were to start {abs(starts[0] - starts[1]) / 1e9:.3f} s apart")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
