"""What the counted repetitions' telemetry says together: pure functions on the result's `telemetry` and `server`."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.result import Repetition, Result
from pgflow_stress.core.units import NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Serialisation:
    """What holding a run's row allows, by the mean of the counted repetitions."""

    wait_share: float  # of the workers' samples, that waited for a row of pgflow.runs
    hold_ns_per_task: float
    most_per_second_of_one_run: float


@dataclass(frozen=True, slots=True)
class ServerHost:
    """What the host of a server elsewhere did, as shares of its time."""

    cores: int
    busy_share: float  # with what was stolen of it
    iowait_share: float
    steal_share: float
    pressure: Mapping[str, float]  # by resource, in which some process was held up


def sampled(result: Result) -> list[Repetition]:
    """The counted repetitions that a sampler took telemetry of; where none counts, all that have some."""
    found = [one for one in result.repetitions if one.telemetry.get("ticks")]
    return [one for one in found if one.counted] or found


def cores_of(result: Result) -> dict[str, float]:
    """CPU used by role, in cores, from the first reading to the last."""
    used: Counter[str] = Counter()
    seconds = 0.0
    for one in sampled(result):
        seconds += float(one.telemetry.get("seconds") or 0.0)
        for role, cost in _processes(one).items():
            used[role] += int(cost.get("cpu_ns") or 0)
    return {role: cpu_ns / NS_PER_SECOND / seconds for role, cpu_ns in used.items()} if seconds else {}


def peaks_of(result: Result) -> dict[str, tuple[int, str, str]]:
    """By role, the most memory that one of its processes held: (bytes, which, since what)."""
    peaks: dict[str, tuple[int, str, str]] = {}
    for one in sampled(result):
        for role, cost in _processes(one).items():
            peak = int(cost.get("rss_peak_bytes") or 0)
            if peak > peaks.get(role, (0, "", ""))[0]:
                peaks[role] = (peak, str(cost.get("rss_peak_of", role)), str(cost.get("rss_peak_since", "")))
    return peaks


def waits_of(result: Result, role: str) -> list[tuple[str, float]]:
    """What a role's backends waited for: (event or CPU, mean share of the samples), the most first."""
    shares: Counter[str] = Counter()
    seen = [waits for one in sampled(result) if (waits := (one.server.get("wait_events") or {}).get(role))]
    for waits in seen:
        for event, share in waits.items():
            shares[event] += share
    return [(event, share / len(seen)) for event, share in shares.most_common()]


def serialisation_of(result: Result) -> Serialisation | None:
    """The mean over the repetitions that have one."""
    found = [told for one in sampled(result) if (told := one.telemetry.get("serialisation"))]
    if not found:
        return None

    def mean(name: str) -> float:
        return statistics.fmean(float(told[name]) for told in found)

    hold_ns = mean("hold_ns_per_task")
    return Serialisation(mean("wait_share"), hold_ns, NS_PER_SECOND / hold_ns)


def server_host_of(result: Result) -> ServerHost | None:
    """The host of a server elsewhere, by the mean of the repetitions that read it; None where it is ours or unseen."""
    found = [host for one in sampled(result) if (host := (one.telemetry.get("hosts") or {}).get("server host"))]
    if not found:
        return None

    def mean(name: str) -> float:
        return statistics.fmean(float(host[name]) for host in found)

    resources = dict.fromkeys(name for host in found for name in host["pressure"])
    pressure = {name: statistics.fmean(float(host["pressure"].get(name, 0.0)) for host in found) for name in resources}
    return ServerHost(int(found[-1]["cores"]), mean("busy_share"), mean("iowait_share"), mean("steal_share"), pressure)


def incomplete(result: Result) -> list[tuple[int, str]]:
    """(repetition, why) of each whose telemetry is not complete."""
    return [
        (one.index, str(one.telemetry.get("incomplete_because")))
        for one in result.repetitions
        if one.telemetry.get("complete") is False
    ]


def unseen(result: Result) -> list[str]:
    """Everything that a probe could not see, each once."""
    return _each_once(line for one in result.repetitions for line in one.telemetry.get("unseen") or ())


def upkeep(result: Result) -> list[str]:
    """Vacuums and analyzes that were seen at work, each once: "vacuum pgflow.runs"."""
    return _each_once(line for one in sampled(result) for line in one.telemetry.get("upkeep") or ())


def _each_once(lines: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(map(str, lines)))


def _processes(one: Repetition) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = one.telemetry.get("processes") or {}
    return found
