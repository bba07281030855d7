"""What a repetition's telemetry comes to: the result's part of it, out of the arena. Columns, never point by point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.result import Json, Phase
from pgflow_stress.core.telemetry import FIRST_TICK, House, SamplerWord, Series, Telemetry, Vital
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.probes.activity import BACKEND_OF, RUNS
from pgflow_stress.engine.probes.elsewhere import ROLE as SERVER_HOST
from pgflow_stress.engine.probes.executing import METRIC as EXECUTING
from pgflow_stress.engine.probes.executing import TIME_METRIC as EXECUTING_TIME
from pgflow_stress.engine.probes.executing import WORKERS_METRIC as WORKERS_SERVED
from pgflow_stress.engine.probes.host import ROLE as HOST
from pgflow_stress.engine.probes.pooler import ROLE as POOLER
from pgflow_stress.engine.probes.processes import SERVER, SINCE_START, SINCE_WINDOW
from pgflow_stress.engine.sizing import observer_regions, starter_regions
from pgflow_stress.scenario.plan import Plan

LEAST_BEATS = 20  # fewer samples say nothing of shares
_COUNTERS = (  # of a role, in the result
    ("cpu_ns", "cpu_total"),
    ("cpu_user_ns", "cpu_user_total"),
    ("cpu_system_ns", "cpu_system_total"),
    ("run_queue_ns", "run_queue_total"),
    ("faults_major", "faults_major_total"),
    ("switches_involuntary", "switches_involuntary_total"),
)
_MARKS = ("vacuum_running", "analyze_running")


@dataclass(frozen=True, slots=True)
class Ends:
    """Of each series its first and last value; the first of a counter that came during the window is 0."""

    series: tuple[Series, ...]
    first: dict[Series, float]
    last: dict[Series, float]
    most: dict[Series, float]

    def of(self, metric: str) -> dict[Series, float]:
        """Last values of a metric."""
        return {series: value for series, value in self.last.items() if series.metric == metric}

    def gained(self, metric: str) -> dict[Series, float]:
        """What a counter rose by."""
        return {series: value - self.first[series] for series, value in self.of(metric).items()}


@dataclass(frozen=True, slots=True)
class Sampled:
    """One repetition's telemetry: the points, and what they come to in the result."""

    points: Telemetry
    telemetry: Json  # the result's
    server: Json  # what of it is the server's


def take_sampled(
    arena: Arena, plan: Plan, reason: str, phases: Mapping[str, Phase], origin_ns: int, origin_unix_ns: int
) -> Sampled:
    """All of it; `reason` says why it is not complete, "" where it is.

    Args:
        phases: of the repetition, from its origin.
        origin_ns: CLOCK_MONOTONIC.
        origin_unix_ns: the same moment by the wall clock.
    """
    taken = take_telemetry(arena)
    ends = ends_of(taken)
    return Sampled(
        points=with_marks(taken, phases, origin_ns),
        telemetry={
            **describe_telemetry(arena, plan, ends, _seconds(taken), reason, phases["process"]),
            "origin_unix_ns": origin_unix_ns,
            "hosts": hosts(taken, ends),
        },
        server={"wait_events": wait_events(ends), **executing(ends)},
    )


def with_marks(taken: Telemetry, phases: Mapping[str, Phase], origin_ns: int) -> Telemetry:
    """The points with two more for each phase: 1 where it begins, 0 where it ends."""
    there = {name: phase for name, phase in phases.items() if phase.from_ns is not None and phase.to_ns is not None}
    series = tuple(Series("run", name, "phase", "mark") for name in there)
    marks = [
        (origin_ns + at_ns, value, len(taken.series) + place, 0)
        for place, phase in enumerate(there.values())
        for at_ns, value in ((phase.from_ns or 0, 1.0), (phase.to_ns or 0, 0.0))
    ]
    points = np.concatenate([taken.points, np.array(marks, dtype=taken.points.dtype)])
    return Telemetry(taken.series + series, points[np.argsort(points["t_ns"], kind="stable")])


def take_telemetry(arena: Arena) -> Telemetry:
    """The points that the sampler left, in order of time; a copy."""
    count, known = (int(arena.sampler[word]) for word in (SamplerWord.POINTS, SamplerWord.SERIES))
    series = tuple(Series(*(text.decode(errors="replace") for text in row)) for row in arena.series[:known].tolist())
    return Telemetry(series, arena.points[:count].copy())


def _seconds(telemetry: Telemetry) -> float:
    """From the first reading of processes' CPU times to the last."""
    return _between(telemetry, [place for place, series in enumerate(telemetry.series) if series.metric == "cpu_total"])


def _seconds_of(telemetry: Telemetry, role: str) -> float:
    """The same of a host's cores."""
    return _between(
        telemetry,
        [p for p, series in enumerate(telemetry.series) if (series.role, series.metric) == (role, "cpu_busy_total")],
    )


def _between(telemetry: Telemetry, places: list[int]) -> float:
    stamps = telemetry.points["t_ns"][np.isin(telemetry.points["series"], places)]
    return float(np.ptp(stamps)) / NS_PER_SECOND if len(stamps) else 0.0


def ends_of(telemetry: Telemetry) -> Ends:
    """First, last and largest value of each series."""
    first, last, most = {}, {}, {}
    order = np.argsort(telemetry.points["series"], kind="stable")
    points = telemetry.points[order]
    places, starts = np.unique(points["series"], return_index=True)
    stops = np.append(starts, len(points))[1:]
    for place, start, stop in zip(places, starts, stops, strict=True):
        series, values = telemetry.series[int(place)], points["value"][start:stop]
        was_there = points["tick"][start] == FIRST_TICK
        first[series] = float(values[0]) if was_there else 0.0
        last[series], most[series] = float(values[-1]), float(values.max())
    return Ends(telemetry.series, first, last, most)


def wait_events(ends: Ends) -> Json:
    """By role, the share of its backends' samples under each wait event, and under CPU; {} with too few samples."""
    samples = {series.role: count for series, count in ends.of("samples_total").items()}
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for series, count in sorted(ends.of("wait_samples_total").items(), key=lambda item: -item[1]):
        if samples.get(series.role, 0) >= LEAST_BEATS:
            found[series.role][series.subject] = count / samples[series.role]
    return dict(found)


def executing(ends: Ends) -> Json:
    """The samples of `profile` and the time that they stand for, each by "phase, executing or not, state, event".

    {} where it took none.
    """
    found = {series.subject: round(count) for series, count in ends.of(EXECUTING).items()}
    times = {series.subject: round(ns) for series, ns in ends.of(EXECUTING_TIME).items()}
    workers = {series.subject: round(ns) for series, ns in ends.of(WORKERS_SERVED).items()}
    return {"executing_samples": found, "executing_ns": times, "workers_ns": workers} if found else {}


def describe_telemetry(arena: Arena, plan: Plan, ends: Ends, seconds: float, reason: str, process: Phase) -> Json:
    """The result's `telemetry`; `reason` says why it is not complete, "" where it is.

    Args:
        seconds: from the first reading of the processes to the last.
        process: the phase, whose rate is set beside the samples.
    """
    words = arena.sampler
    complete = bool(words[SamplerWord.FINISHED]) and not reason
    return {
        "level": plan.options.telemetry,
        "interval_seconds": plan.options.telemetry_interval_seconds,
        "seconds": seconds,
        "ticks": int(words[SamplerWord.TICKS]),
        "missed": int(words[SamplerWord.MISSED]),
        "beats": int(words[SamplerWord.BEATS]),
        "complete": complete,
        "incomplete_because": None if complete else reason or "the sampler did not finish",
        "unseen": [line.decode(errors="replace") for line in arena.unseen[: int(words[SamplerWord.UNSEEN])].tolist()],
        "own_cpu_ns": int(words[SamplerWord.CPU_NS]),
        "points": int(words[SamplerWord.POINTS]),
        "points_left_out": int(words[SamplerWord.LEFT_OUT]),
        "times_thinned": int(words[SamplerWord.THINNED]),
        "processes": processes(ends),
        "backends": backends(ends),
        "samples": {s.role: round(count) for s, count in ends.of("samples_total").items()},
        "python": python_side(arena),
        "connections": connections(ends),
        "pools": pools(ends),
        "lock_waits": lock_waits(ends),
        "blocked_by": blocked_by(ends),
        "serialisation": serialisation(ends, int(words[SamplerWord.TASK_BEATS]), process),
        "upkeep": sorted({f"{s.metric.removesuffix('_running')} {s.subject}" for s in ends.last if s.metric in _MARKS}),
    }


def processes(ends: Ends) -> Json:
    """By role: what its processes used in the window, and the most memory of one of them and of all, by the kernel."""
    found: dict[str, Json] = defaultdict(dict)
    for name, metric in _COUNTERS:
        for series, value in ends.gained(metric).items():
            found[series.role][name] = found[series.role].get(name, 0) + round(value)
    for metric, since in ((SINCE_START, "process start"), (SINCE_WINDOW, "window")):
        for series, value in ends.of(metric).items():
            of = found[series.role]
            of["rss_peak_total_bytes"] = of.get("rss_peak_total_bytes", 0) + round(value)
            if value > of.get("rss_peak_bytes", 0):
                of |= {"rss_peak_bytes": round(value), "rss_peak_of": series.subject}
            # The weakest word for all of a role's: one that counts from its start makes the role's peak such a one.
            of.setdefault("rss_peak_since", since)
    for name in ("uss", "pss"):
        for series, value in ends.of(name).items():
            found[series.role][f"{name}_bytes"] = found[series.role].get(f"{name}_bytes", 0) + round(value)
    return dict(found)


def backends(ends: Ends) -> Json:
    """By role of who drives them: what their backends used on this host, and waited for a core. {} on another host."""
    found: dict[str, Json] = {}
    for name, metric in (("cpu_ns", "cpu_total"), ("run_queue_ns", "run_queue_total")):
        for series, value in ends.gained(metric).items():
            if series.role == SERVER and series.subject.startswith(BACKEND_OF):
                role = series.subject.removeprefix(BACKEND_OF).partition(" ")[0]
                of = found.setdefault(role, {})
                of[name] = of.get(name, 0) + round(value)
    return found


def python_side(arena: Arena) -> Json:
    """Collector pauses by role, how late the coordinator was woken, how long workers were in the extension's loops."""
    size = arena.size
    rows = {
        "coordinator": arena.house[[House.COORDINATOR]],
        "nursery": arena.house[[House.NURSERY]],
        "worker": arena.vitals[: starter_regions(size).start],
        "starter": arena.vitals[starter_regions(size)],
        "observer": arena.vitals[observer_regions(size)],
    }
    own = arena.house[House.COORDINATOR]
    return {
        "collector": {
            role: {
                "pauses": int(vitals[:, Vital.COLLECTIONS].sum()),
                "total_ns": int(vitals[:, Vital.COLLECTION_NS].sum()),
                "longest_ns": int(vitals[:, Vital.LONGEST_COLLECTION_NS].max(initial=0)),
            }
            for role, vitals in rows.items()
            if len(vitals)
        },
        "coordinator": {
            "sleeps": int(own[Vital.SLEEPS]),
            "late_ns_mean": int(own[Vital.LATE_NS]) / max(1, int(own[Vital.SLEEPS])),
            "late_ns_longest": int(own[Vital.LONGEST_LATE_NS]),
            "rss_peak_bytes": int(own[Vital.RSS_PEAK_BYTES]),
        },
        "workers_in_loop_ns": int(rows["worker"][:, Vital.HOT_NS].sum()),
    }


def hosts(telemetry: Telemetry, ends: Ends) -> Json:
    """What each host did as a whole, from the first reading to the last: "host" is ours, "server host" another's.

    cores; busy_share, of all cores' time, with what was stolen of it; iowait_share; steal_share; pressure: by resource
    the share of time in which some process was held up; disks: by device {read_bytes, written_bytes, busy_share}.
    """
    found: Json = {}
    for role in (HOST, SERVER_HOST):
        seconds = _seconds_of(telemetry, role)
        used = {name: _of_role(ends, role, f"cpu_{name}_total") for name in ("busy", "iowait", "steal")}
        cores = len(used["busy"])
        if not seconds or not cores:
            continue
        whole_ns = seconds * NS_PER_SECOND
        shares = {name: min(1.0, sum(by_core.values()) / (cores * whole_ns)) for name, by_core in used.items()}
        disks = {name: _of_role(ends, role, f"{name}_total") for name in ("read", "written", "busy")}
        found[role] = {
            "cores": cores,
            "busy_share": min(1.0, shares["busy"] + shares["steal"]),
            "iowait_share": shares["iowait"],
            "steal_share": shares["steal"],
            "pressure": {
                resource: min(1.0, held_up_ns / whole_ns)
                for resource, held_up_ns in _of_role(ends, role, "pressure_some_total").items()
            },
            "disks": {
                device: {
                    "read_bytes": round(read),
                    "written_bytes": round(disks["written"].get(device, 0)),
                    "busy_share": min(1.0, disks["busy"].get(device, 0) / whole_ns),
                }
                for device, read in disks["read"].items()
            },
        }
    return found


def _of_role(ends: Ends, role: str, metric: str) -> dict[str, float]:
    """By subject, what a counter of a role rose by."""
    return {series.subject: value for series, value in ends.gained(metric).items() if series.role == role}


def connections(ends: Ends) -> Json:
    """The most that were seen, by state, and the server's limit."""
    return {series.subject: round(count) for series, count in ends.most.items() if series.metric == "connections"}


def pools(ends: Ends) -> Json:
    """By database/user of a pooler whose console was asked: the most clients and servers seen, and the longest wait."""
    found: dict[str, Json] = defaultdict(dict)
    for series, value in ends.most.items():
        if series.role == POOLER and "/" in series.subject:
            name = "longest_wait_ns" if series.metric == "longest_wait" else series.metric
            found[series.subject][name] = round(value)
    return dict(found)


def lock_waits(ends: Ends) -> Json:
    """By table, the share of the workers' samples that waited for one of its rows; "not a row" for other locks."""
    samples = sum(count for series, count in ends.of("samples_total").items() if series.role == "worker")
    waits = ends.of("lock_wait_samples_total")
    if samples < LEAST_BEATS:
        return {}
    return {series.subject: count / samples for series, count in waits.items() if series.role == "worker"}


def blocked_by(ends: Ends) -> Json:
    """Of the workers that were seen held up by others (in full telemetry), the share by whom."""
    seen = {s.subject: n for s, n in ends.of("blocked_by_total").items() if s.role == "worker"}
    return {subject: count / sum(seen.values()) for subject, count in seen.items()} if any(seen.values()) else {}


def serialisation(ends: Ends, beats: int, process: Phase) -> Json | None:
    """How long a task holds its run's row, and the most that one run can reach from it; None where it was not seen.

    By Little's law: the mean number of workers that execute complete_task and wait for no lock is the rate times the
    time each task takes there. Each of them holds the row of its run, from the statement's first lock to its commit.
    The time before that lock is counted with it, so that the limit is a little low.
    """
    completing = sum(ends.of("completing_samples_total").values())
    if beats < LEAST_BEATS or not completing or not process.per_second:
        return None
    holding = completing / beats
    return {
        "wait_share": lock_waits(ends).get(RUNS, 0.0),
        "hold_ns_per_task": holding / process.per_second * NS_PER_SECOND,
        "most_per_second_of_one_run": process.per_second / holding,
        "samples": round(completing),
    }
