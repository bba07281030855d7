"""What a result says of each of its hosts: work done, and how far its clock was off, with the error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pgflow_stress.analysis.hosts.part import Part
from pgflow_stress.core.host_clock import ClockReading
from pgflow_stress.core.result import Json, Repetition, Verdict
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND

_MOST_OF_A_PHASE = 0.01  # that the clocks' error may be
_ROOMS = ("host", "python")  # of the environment: each host's own


def hosts_of(
    groups: Sequence[Sequence[Part]], environments: Mapping[str, Json], reference: Sequence[ClockReading] = ()
) -> tuple[Json, ...]:
    """A document a host, in the order in which they were given.

    Args:
        groups: the parts of each repetition.
        environments: by host.
        reference: the coordinator's clock at each repetition; absent: the first host is the coordinator.
    """
    names = dict.fromkeys(part.host for parts in groups for part in parts)
    return tuple(_host(name, groups, environments.get(name, {}), reference) for name in names)


def _host(name: str, groups: Sequence[Sequence[Part]], environment: Json, reference: Sequence[ClockReading]) -> Json:
    mine = [(place, part) for place, parts in enumerate(groups) for part in parts if part.host == name]
    place, last = mine[-1]
    against = reference[place] if reference else groups[place][0].clock.before
    is_reference = not reference and groups[place][0].host == name
    by_worker = last.repetition.client.get("by_worker") or {}
    return {
        "name": name,
        "workers": len(by_worker.get("cpu_share") or ()),
        "tasks": sum(part.repetition.tasks.completed for _, part in mine),
        "clock_offset_ns": last.clock.before.wall_offset_ns - against.wall_offset_ns,
        "clock_error_ns": 0 if is_reference else last.clock.error_ns + against.error_ns,
        "clock": {
            "related_by": "round trips to the database's clock_timestamp()",
            "error_ns": max(part.clock.error_ns for _, part in mine),
            "drift_ppm": [part.clock.drift_ppm for _, part in mine],
            "late_ns": [int((part.repetition.window.get("clock") or {}).get("late_ns") or 0) for _, part in mine],
        },
        "repetitions": [
            {
                "index": at,
                "tasks": part.repetition.tasks.completed,
                "process_per_second": part.repetition.phases["process"].per_second,
                "cpu_ns_per_task": part.repetition.client.get("cpu_ns_per_task"),
                "audit_ok": part.repetition.audit.ok,
            }
            for at, part in mine
        ],
        "environment": {room: environment.get(room) for room in _ROOMS},
    }


def with_clocks(verdict: Verdict, repetitions: Sequence[Repetition]) -> Verdict:
    """What the clocks' error means for figures over several hosts."""
    error_ns = max(int(one.window.get("clock_error_ns") or 0) for one in repetitions)
    lasted = [one.phases["process"].seconds for one in repetitions if one.counted and one.phases["process"].count]
    text = f"hosts' clocks are related within {error_ns / NS_PER_MS:.3f} ms"
    if lasted and error_ns > _MOST_OF_A_PHASE * min(lasted) * NS_PER_SECOND:
        reason = f"{text}, over {_MOST_OF_A_PHASE:.0%} of a phase"
        return replace(verdict, valid=False, reasons=(*verdict.reasons, reason), quick_look=False)
    return replace(verdict, notes=(*verdict.notes, text))
