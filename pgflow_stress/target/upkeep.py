"""`db up`, `down` and `status`: the embedded servers as a person sees them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.libpq import choose
from pgflow_stress.target import connect
from pgflow_stress.target.base import Say, TargetOptions
from pgflow_stress.target.embedded import WHAT, embedded_conninfo, open_embedded, plan_instance, state_folder
from pgflow_stress.target.locking import live_leases
from pgflow_stress.target.naming import is_template_of_ours, lease_of_database
from pgflow_stress.target.server_life import Instance, instances
from pgflow_stress.target.settings import Settings

STATUS_SCHEMA = "pgflow-stress/db-status/1"


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One embedded server."""

    key: str
    running: bool
    pid: int | None
    kept: bool  # by `db up`
    users: dict[str, int]  # lease id → pid of who took it
    conninfo: str | None  # of its maintenance database, while it runs
    version: str | None
    settings: Settings  # of --pg-setting
    databases: dict[str, str]  # name → template, repetition or other


def up(options: TargetOptions, say: Say) -> InstanceStatus:
    """Boot the server that the options ask for, with its template, and let it outlive its users.

    Raises:
        SetUpFault: it can't be had.
        UsageFault: an option's value can't be.
    """
    instance, _ = plan_instance(options)
    with open_embedded(options, say):
        instance.keep(True)
    return status_of(instance)


def down(say: Say) -> list[InstanceStatus]:
    """Keep no server any longer, and stop those that nobody uses; what is still running afterwards."""
    for instance in instances(state_folder()):
        was_running = instance.running() is not None
        instance.keep(False)
        if instance.stop_if_unused() and was_running:
            say(f"stopped {instance.root.name}")
    left = [status_of(instance) for instance in instances(state_folder()) if instance.running() is not None]
    for still in left:
        pids = ", ".join(map(str, sorted(still.users.values())))
        say(f"{still.key} is in use by process {pids}: it stops with its last user")
    return left


def status() -> list[InstanceStatus]:
    """Every embedded server under the state directory."""
    return [status_of(instance) for instance in instances(state_folder())]


def status_of(instance: Instance) -> InstanceStatus:
    """One of them, asked where it runs."""
    found = instance.running()
    version, databases, conninfo = None, {}, None
    if found is not None and found.status == "ready":
        choose(embedded=True, wants_tls=False)
        conninfo = embedded_conninfo(instance, "postgres")
        with (
            contextlib.suppress(SetUpFault),
            connect.connected(conninfo, WHAT) as connection,
        ):  # it may just be stopping
            version = str(connect.value(connection, "SHOW server_version"))
            names = connect.rows(
                connection, "SELECT datname FROM pg_database WHERE datname !~ '^template[01]$' ORDER BY 1"
            )
            databases = {str(name): _kind(str(name)) for (name,) in names}
    return InstanceStatus(
        key=instance.root.name,
        running=found is not None,
        pid=found.pid if found else None,
        kept=instance.kept,
        users=live_leases(instance.leases),
        conninfo=conninfo,
        version=version,
        settings=instance.user_settings(),
        databases=databases,
    )


def as_json(found: list[InstanceStatus]) -> dict[str, Any]:
    """The document of `db status --json`."""
    return {
        "schema": STATUS_SCHEMA,
        "state_directory": str(state_folder()),
        "instances": [
            {
                "key": one.key,
                "running": one.running,
                "pid": one.pid,
                "kept": one.kept,
                "users": [{"lease": lease, "pid": pid} for lease, pid in sorted(one.users.items())],
                "conninfo": one.conninfo,
                "version": one.version,
                "pg_settings": dict(one.settings),
                "databases": [{"name": name, "kind": kind} for name, kind in one.databases.items()],
            }
            for one in found
        ],
    }


def _kind(name: str) -> str:
    if is_template_of_ours(name):
        return "template"
    return "repetition" if lease_of_database(name) else "other"
