"""What the server says before the window and after it, and what of that the result has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import psycopg

from pgflow_stress.core.result import Json
from pgflow_stress.engine.accounts import Accounts
from pgflow_stress.engine.control import Control, ServerReading
from pgflow_stress.engine.deltas import Counters, deltas, per_task, read_counters
from pgflow_stress.engine.profiling.profiler import Profiler
from pgflow_stress.engine.sampler_handle import SamplerHandle
from pgflow_stress.engine.work import work_per_task

if TYPE_CHECKING:  # they import what of this module the result is made from
    from pgflow_stress.engine.alongside import Alongside
    from pgflow_stress.engine.faults.disturbance import Disturbance

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Readings:
    """What server and host said around the window; None where the server could not be asked."""

    before: ServerReading | None
    after: ServerReading | None
    statements: list[Json] | None
    host: Json  # host_cpu.cpu_shares
    plans: Json = field(default_factory=dict)  # of hot statements at both ends: as the result's `server` has them
    counters: tuple[Counters | None, Counters | None] = (None, None)  # before, after
    profile: Json = field(default_factory=dict)  # of `profile` alone


@dataclass(frozen=True, slots=True)
class Before:
    """What was read before the window."""

    server: ServerReading | None
    counters: Counters | None


def read_before(
    control: Control, sampler: SamplerHandle | None, profiler: Profiler | None, alongside: Alongside
) -> Before:
    """Read the server as it is when the window begins, the sampler's own first reading before that."""
    if sampler is not None:
        sampler.begin()
    counters = _counters(control, sampler)
    server = _or_none(lambda: control.read_server(_ours(sampler, alongside)))
    if profiler is not None:
        profiler.begin()
    return Before(server, counters)


def still_true(before: Before, control: Control, disturbance: Disturbance) -> Before:
    """What of it a server goes on with that was started again: its log. Its processes and counters are others."""
    if disturbance.blows:
        control.reachable()  # by another connection, where a fault took this one
    if before.server is None or not disturbance.restarted:
        return before
    return Before(ServerReading(before.server.wal_bytes, None), None)


def read_after(
    control: Control,
    sampler: SamplerHandle | None,
    profiler: Profiler | None,
    before: Before,
    host: Json,
    alongside: Alongside,
) -> Readings:
    """Read it again when the window has ended."""
    if profiler is not None:
        profiler.end()
    after = _or_none(lambda: control.read_server(_ours(sampler, alongside)))
    statements = _or_none(lambda: control.statements() if control.has_statements() else None)
    counters = _counters(control, sampler)
    if sampler is not None:
        sampler.finish()
    return Readings(before.server, after, statements, host, counters=(before.counters, counters))


def _counters(control: Control, sampler: SamplerHandle | None) -> Counters | None:
    """Of the statistics views; None where backends are shared, as those cannot be made to hand theirs over in time."""
    return None if sampler is None or control.shared else _or_none(lambda: read_counters(control.connection))


def _ours(sampler: SamplerHandle | None, alongside: Alongside) -> tuple[int, ...]:
    """Backends whose cost is not the job's."""
    return (*(() if sampler is None else (sampler.backend,)), *alongside.backends)


def _or_none(read: Callable[[], Read | None]) -> Read | None:
    """What it reads; None from a server that does not answer."""
    try:
        return read()
    except psycopg.Error:
        return None


def server_account(readings: Readings, taken: Accounts) -> Json:
    """The result's `server`: what it did over the window, and by completed task."""
    server: Json = {"cpu_ns_per_task": None, "wal_bytes_per_task": None}
    before, after = readings.before, readings.after
    if before is not None and after is not None and taken.tasks_completed:
        if before.wal_bytes is not None and after.wal_bytes is not None:
            server["wal_bytes_per_task"] = (after.wal_bytes - before.wal_bytes) / taken.tasks_completed
            server["wal_positions"] = [before.wal_bytes, after.wal_bytes]
        if before.cpu_ns is not None and after.cpu_ns is not None:
            server["cpu_ns_per_task"] = (after.cpu_ns - before.cpu_ns) / taken.tasks_completed
        server |= work_per_task(before.work, after.work, taken.tasks_completed)
    if before is not None and after is not None:
        server |= _upkeep(before, after)
    server |= readings.plans
    if readings.statements is not None:
        server["statements"] = readings.statements
    if changed := deltas(*readings.counters):
        server["deltas"] = changed
        server["deltas_per_task"] = per_task(changed, taken.tasks_completed)
    if readings.profile:
        server["profile"] = readings.profile
    return server


def _upkeep(before: ServerReading, after: ServerReading) -> Json:
    """What the server did by itself between two readings."""
    begun = None
    if before.checkpoints is not None and after.checkpoints is not None:
        begun = max(0, after.checkpoints - before.checkpoints)  # a server that crashed counts from 0 again
    return {
        "checkpoints": begun,
        "autovacuums": _more(before.autovacuums, after.autovacuums),
        "autoanalyzes": _more(before.autoanalyzes, after.autoanalyzes),
    }


def _more(before: Mapping[str, int] | None, after: Mapping[str, int] | None) -> dict[str, int]:
    """By how much each count rose; those that did not are left out."""
    was = before or {}
    return {name: count - was.get(name, 0) for name, count in (after or {}).items() if count > was.get(name, 0)}
