"""Looks at the target and changes nothing: a given server over one connection, the embedded one without a boot."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pgflow_stress.core.libpq import LibpqChoice, choose
from pgflow_stress.engine.checks.facts import Disk, ServerFacts, disk_of
from pgflow_stress.engine.checks.settings import ASKED_FOR
from pgflow_stress.target import cleanup, connect, privileges
from pgflow_stress.target.base import Isolation, TargetOptions
from pgflow_stress.target.choice import Choice, choose_target
from pgflow_stress.target.databases import repetition_databases
from pgflow_stress.target.embedded import WHAT, embedded_conninfo, plan_instance
from pgflow_stress.target.fingerprint import is_loopback, transport_of
from pgflow_stress.target.given import reach
from pgflow_stress.target.locking import live_leases
from pgflow_stress.target.naming import FILE_LEASE, LEASE_LOCK, SESSION_LEASE, lease_lock_key

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_ROUND_TRIPS = 200


def look_at_target(options: TargetOptions) -> tuple[LibpqChoice, ServerFacts]:
    """The libpq that serves the target, and the target.

    Raises:
        SetUpFault: it cannot be reached or must not be used.
        UsageFault: an option that cannot be.
    """
    choice = choose_target(options, os.environ)
    return _embedded(options) if choice.embedded else _given(options, choice)


def _embedded(options: TargetOptions) -> tuple[LibpqChoice, ServerFacts]:
    """Where it is down, what it would be started with."""
    instance, plan = plan_instance(options)
    libpq = choose(embedded=True, wants_tls=False)
    disk, running = disk_of(instance.data), instance.running()
    if running is None or running.status != "ready":
        planned = dict((*plan.ours, *plan.users))
        return libpq, ServerFacts(WHAT, True, True, planned, disk, running=False)
    with connect.connected(embedded_conninfo(instance, "postgres"), WHAT) as connection:
        found = repetition_databases(connection)
        living = live_leases(instance.leases)
        dead = [name for name, lease in found.items() if lease.startswith(FILE_LEASE) and lease not in living]
        return libpq, ServerFacts(
            WHAT, True, True, _settings(connection), disk, _tls(connection), _round_trip_ns(connection),
            leftovers=tuple(f"database {name}" for name in dead),
        )  # fmt: skip


def _given(options: TargetOptions, choice: Choice) -> tuple[LibpqChoice, ServerFacts]:
    reached = reach(options, choice, judge=False)
    found = reached.found
    with connect.connected(reached.conninfo, reached.what) as connection:
        local = transport_of(connection) == "socket" or is_loopback(connection.info.hostaddr)
        drivable = found.has_pgflow and not found.unsupported
        label = (found.version or str(found.facts.get("label", "of unknown version"))) if found.has_pgflow else None
        wants_prefix = options.isolation in (None, Isolation.PREFIX)
        return reached.libpq, ServerFacts(
            what=reached.what,
            embedded=False,
            local=local,
            settings=_settings(connection),
            disk=_data_disk(connection) if local else None,
            tls=_tls(connection),
            round_trip_ns=_round_trip_ns(connection),
            pooler=reached.pooler,
            pgflow=label,
            unsupported=found.unsupported,
            events=found.events,
            missing_rights=tuple(privileges.missing_for_prefix(connection)) if drivable and wants_prefix else None,
            leftovers=_leftovers(connection, drivable),
        )


def _settings(connection: Connection) -> dict[str, str]:
    asked = connect.rows(
        connection,
        "SELECT name, current_setting(name, true) FROM pg_settings WHERE name = ANY(%s)",
        list(ASKED_FOR),
    )
    return {str(name): str(value) for name, value in asked if value is not None}


def _tls(connection: Connection) -> bool:
    return bool(connection.pgconn.ssl_in_use)


def _round_trip_ns(connection: Connection) -> float:
    """Median; through psycopg, whose own part is a few microseconds."""
    taken_ns = []
    for _ in range(_ROUND_TRIPS):
        began_ns = time.monotonic_ns()
        connection.pgconn.exec_(b"")
        taken_ns.append(time.monotonic_ns() - began_ns)
    return statistics.median(taken_ns)


def _data_disk(connection: Connection) -> Disk | None:
    """Only where the server tells us where, and we see the same place: not out of a container into another."""
    folder = connect.value(connection, "SELECT setting FROM pg_settings WHERE name = 'data_directory'")
    if not folder or not Path(str(folder)).is_dir():
        return None
    return disk_of(Path(str(folder)))


def _leftovers(connection: Connection, drivable: bool) -> tuple[str, ...]:
    databases = repetition_databases(connection)
    living = cleanup.held_locks(connection, LEASE_LOCK)
    left = [
        f"database {name}"
        for name, lease in databases.items()
        if lease.startswith(SESSION_LEASE) and lease_lock_key(lease) not in living
    ]
    if drivable:
        left += [f"rows of repetition {nonce:016x}" for nonce in cleanup.dead_nonces(connection)]
    return tuple(left)
