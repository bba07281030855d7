"""A repetition over several hosts out of each one's: on the clock that they share, each figure computed or absent.

Counts, outcomes and histograms are sums, percentiles are those of the summed histograms, a phase lasts from the first
host's begin to the last one's end. A duration is always of one host's own clock; where two are on one line, the
error of their clocks is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from pgflow_stress.analysis.hosts.costs import client_of
from pgflow_stress.analysis.hosts.part import NotTogether, Part
from pgflow_stress.core.latency import latency_of, merge
from pgflow_stress.core.operations import PHASE_OPERATIONS
from pgflow_stress.core.phase import nothing, phase
from pgflow_stress.core.result import Audit, Check, Incident, Json, Latency, Phase, Repetition, Tasks
from pgflow_stress.core.units import NS_PER_SECOND

PARTS_ADD_UP = "outcomes and phases of all hosts add up"
ROWS_ARE_COUNTED = "merged histogram is that of all rows"
_TOTALS = {"wal_bytes": "wal_bytes_per_task", "cpu_ns": "cpu_ns_per_task"}
_HELD_UP_NS = NS_PER_SECOND
# Statements that a host waits for; not a read, which may wait in the server because it is told to.
_SENT = ("create_flow", "add_step", "start_flow", "start_tasks", "complete", "fail")


@dataclass(frozen=True, slots=True)
class FromRows:
    """What only the rows of all hosts say."""

    series: Json  # as client["series"] of one host
    counted: Check | None  # whether histogram and rows say the same; None where some rows found no room


def zero_ns(parts: Sequence[Part]) -> int:
    """The repetition's origin by the shared clock: the earliest host's."""
    return min(part.server_ns(0) for part in parts)


def merge_repetition(
    parts: Sequence[Part], index: int, rows: FromRows | None = None, lost: Sequence[LostHost] = ()
) -> Repetition:
    """One repetition over the hosts.

    Args:
        parts: of each host that ended, at least one.
        index: of the repetition among the merged ones.
        rows: what was read from the timings, where there are any.
        lost: hosts that died, and what they were to do.
    Raises:
        NotTogether: a host's histograms are not those of its result.
    """
    first = parts[0].repetition
    window = window_of(parts)
    phases = {name: _phase(name, parts, window[1] - window[0]) for name in first.phases}
    client = client_of(parts)
    checks = [*_checks(parts), _adding_up(parts)]
    if rows is not None:
        client["series"] = rows.series
        checks += [rows.counted] if rows.counted else []
    return Repetition(
        index=index,
        warmup=first.warmup,
        interrupted=any(part.repetition.interrupted for part in parts),
        window={"seconds": (window[1] - window[0]) / NS_PER_SECOND, "clock_error_ns": clock_error_ns(parts)},
        phases=phases,
        tasks=_tasks(parts, lost),
        events=first.events,
        audit=Audit(all(check.ok for check in checks), tuple(checks)),
        incidents=_incidents(parts, lost),
        client=client,
        server=_server(parts),
        lost_worker=bool(lost) or any(part.repetition.lost_worker for part in parts),
        failures=dict(_summed(part.repetition.failures for part in parts)),
    )


@dataclass(frozen=True, slots=True)
class LostHost:
    """A host that died: nobody has its rows."""

    host: str
    why: str
    tasks: int  # that it was to do
    completed: int | None = None  # by the database


def window_of(parts: Sequence[Part]) -> tuple[int, int]:
    """The common window, ns from the repetition's origin by the shared clock."""
    zero = zero_ns(parts)
    spans = []
    for part in parts:
        begins = [p.from_ns for p in part.repetition.phases.values() if p.from_ns is not None]
        begin_ns = min(begins, default=0)
        end_ns = begin_ns + round(part.repetition.window["seconds"] * NS_PER_SECOND)
        spans.append((part.server_ns(begin_ns), part.server_ns(end_ns)))
    return min(begin for begin, _ in spans) - zero, max(end for _, end in spans) - zero


def clock_error_ns(parts: Sequence[Part]) -> int:
    """By how much two hosts' stamps may be misplaced against each other, at most."""
    errors = sorted((part.clock.error_ns for part in parts), reverse=True)
    return sum(errors[:2])


def _phase(name: str, parts: Sequence[Part], window_ns: int) -> Phase:
    zero = zero_ns(parts)
    spans = [
        (part.server_ns(one.from_ns) - zero, part.server_ns(one.to_ns) - zero)
        for part in parts
        if (one := part.repetition.phases[name]).from_ns is not None and one.to_ns is not None
    ]
    if not spans:
        return nothing()
    count = sum(part.repetition.phases[name].count for part in parts)
    begin_ns, end_ns = min(begin for begin, _ in spans), max(end for _, end in spans)
    return phase(begin_ns, end_ns, count, window_ns / NS_PER_SECOND, _latency(name, parts))


def _latency(name: str, parts: Sequence[Part]) -> Latency:
    of_hosts = []
    for part in parts:
        mine = merge(part.histograms[one] for one in PHASE_OPERATIONS.get(name, ()) if one in part.histograms)
        told = part.repetition.phases[name].latency_ns
        if (mine.count, mine.samples) != (told.count, told.samples):
            raise NotTogether(
                f"{part.host}: repetition {part.repetition.index} has {told.count} latencies of {name} in its "
                f"result and {mine.count} in its histograms"
            )
        of_hosts.append(mine)
    return latency_of(merge(of_hosts))


def _tasks(parts: Sequence[Part], lost: Sequence[LostHost]) -> Tasks:
    sums = {one.name: sum(getattr(part.repetition.tasks, one.name) for part in parts) for one in fields(Tasks)}
    gone = sum(one.tasks for one in lost)
    return replace(Tasks(**sums), expected=sums["expected"] + gone, indeterminate=sums["indeterminate"] + gone)


def _checks(parts: Sequence[Part]) -> list[Check]:
    """Each host's checks, by name: expected and found add up where they are counts."""
    by_name: dict[str, list[tuple[str, Check]]] = {}
    for part in parts:
        for check in part.repetition.audit.checks:
            by_name.setdefault(check.name, []).append((part.host, check))
    return [_together(name, checks) for name, checks in by_name.items()]


def _together(name: str, checks: Sequence[tuple[str, Check]]) -> Check:
    ids = tuple(f"{host}: {one}" for host, check in checks for one in check.ids)
    return Check(
        name,
        all(check.ok for _, check in checks),
        _total([check.expected for _, check in checks]),
        _total([check.found for _, check in checks]),
        ids,
    )


def _total(values: Sequence[object]) -> object:
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        return sum(numbers)
    return values[0] if all(value == values[0] for value in values) else list(values)


def _adding_up(parts: Sequence[Part]) -> Check:
    """The outcomes of all hosts against the phase that counts completions."""
    completed = sum(part.repetition.tasks.completed for part in parts)
    counted = sum(part.repetition.phases["process"].count for part in parts)
    return Check(PARTS_ADD_UP, completed == counted, completed, counted)


def _incidents(parts: Sequence[Part], lost: Sequence[LostHost]) -> tuple[Incident, ...]:
    zero = zero_ns(parts)
    found = [
        replace(one, at_ns=max(0, part.server_ns(one.at_ns) - zero), subject=f"{part.host}: {one.subject}")
        for part in parts
        for one in part.repetition.incidents
    ]
    for part in parts:
        answers = [(histogram.max_ns, one) for one, histogram in part.histograms.items() if one in _SENT]
        longest_ns, operation = max(answers, default=(0, ""))
        if longest_ns >= _HELD_UP_NS:
            detail = f"an answer to {operation} took {longest_ns / NS_PER_SECOND:.1f} s"
            found.append(Incident("host held up", 0, part.host, detail))
    for one in lost:
        known = "" if one.completed is None else f", of which the database has {one.completed} completed"
        found.append(Incident("host lost", 0, one.host, f"{one.why}; {one.tasks} tasks were its{known}"))
    return tuple(sorted(found, key=lambda incident: incident.at_ns))


def _server(parts: Sequence[Part]) -> Json:
    """Its counters are of all hosts: whoever read most had them all in it. What is of one host's own is not told."""
    completed = sum(part.repetition.tasks.completed for part in parts)
    servers = [part.repetition.server for part in parts]
    merged: Json = {}
    for total, per_task in _TOTALS.items():
        known = [server[total] for server in servers if server.get(total) is not None]
        merged[per_task] = max(known) / completed if len(known) == len(servers) and completed else None
    for name in ("checkpoints",):
        counts = [server.get(name) for server in servers]
        merged[name] = None if any(count is None for count in counts) else max(int(count or 0) for count in counts)
    for name in ("autovacuums", "autoanalyzes"):
        merged[name] = _most(server.get(name) or {} for server in servers)
    return merged


def _most(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = max(found.get(name, 0), int(count))
    return found


def _summed(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total.most_common())
