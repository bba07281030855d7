"""A repetition of one host among several: what it can say of itself alone, and what only all of them can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pgflow_stress.core.result import Incident, Json, Repetition
from pgflow_stress.core.units import NS_PER_MS

if TYPE_CHECKING:  # it brings psycopg, and the engine is there before a libpq is chosen
    from pgflow_stress.engine.control import Control

TOTALS = {"wal_bytes": "wal_bytes_per_task", "cpu_ns": "cpu_ns_per_task"}  # of all hosts, and what they make a task
_LATE_NS = 100 * NS_PER_MS


class OpenGate:
    """Before the windows of a host that is alone: nobody waits for anybody."""

    def meet(self, control: Control, index: int, check: Callable[[], None]) -> None:
        """Nobody is met."""

    def ready(self, control: Control, check: Callable[[], None]) -> None:
        """At once."""

    def go(self, check: Callable[[], None]) -> None:
        """At once."""

    def ended(self, control: Control, origin_ns: int, hurried: Callable[[], bool]) -> Json:  # noqa: ARG002  as a gate's
        """Nothing is told."""
        return {}


def among_hosts(repetition: Repetition, clock: Json) -> Repetition:
    """With its clock; the server's cost is told in all, as its counters have the others' tasks in them.

    Args:
        clock: what the gate tells of it; {} of a host that is alone, whose repetition stays as it is.
    """
    if not clock:
        return repetition
    server = {name: value for name, value in repetition.server.items() if not name.endswith("_per_task")}
    for total, name in TOTALS.items():
        per_task = repetition.server.get(name)
        server |= {name: None, total: None if per_task is None else round(per_task * repetition.tasks.completed)}
    incidents = list(repetition.incidents)
    if why := clock.get("lost"):
        incidents.append(Incident("clock lost", 0, clock["host"], why))
    elif clock["late_ns"] > _LATE_NS + clock["error_ns"]:
        incidents.append(Incident("late", 0, clock["host"], f"started {clock['late_ns'] / NS_PER_MS:.0f} ms late"))
    if left := clock.get("not_waited_for"):
        incidents.append(Incident("not waited for", 0, clock["host"], f"{left} other hosts had not ended"))
    return replace(
        repetition,
        window={**repetition.window, "clock": clock},
        server=server,
        incidents=tuple(sorted(incidents, key=lambda incident: incident.at_ns)),
    )
