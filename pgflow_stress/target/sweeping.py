"""`db clean`: leftovers of dead runs, on the embedded servers and, where one is given, on a server of the user's."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.libpq import choose
from pgflow_stress.target import cleanup, connect
from pgflow_stress.target.base import Say, TargetOptions
from pgflow_stress.target.choice import Choice
from pgflow_stress.target.databases import drop_database
from pgflow_stress.target.embedded import WHAT, drop_dead_databases, embedded_conninfo, plan_instance, state_folder
from pgflow_stress.target.given import reach
from pgflow_stress.target.locking import live_leases
from pgflow_stress.target.naming import LEASE_LOCK, OBJECT_PREFIX, TEMPLATE_LOCK, is_template_of_ours
from pgflow_stress.target.pginstall import package_version
from pgflow_stress.target.server_life import Instance, instances, joined

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_PURPOSES = ("compare", "capacity")


def clean_embedded(say: Say) -> list[str]:
    """Drop dead databases and templates that nobody uses, delete instances of old versions and odd settings.

    Returns:
        what was removed.
    Raises:
        SetUpFault: the server of a current instance can't be started.
    """
    state = state_folder()
    choose(embedded=True, wants_tls=False)
    current = {}
    for purpose in _PURPOSES:
        instance, plan = plan_instance(TargetOptions(purpose=purpose))
        current[instance.root] = (instance, plan)
    removed: list[str] = []
    for instance in instances(state):
        known = current.get(instance.root)
        if known is not None:
            with joined(known[0], known[1], say, lambda: None):
                removed += drop_dead_databases(known[0]) + _drop_unused_templates(known[0])
        elif instance.stop_if_unused() and instance.remove_if_unused():
            removed.append(f"instance {instance.root.name}")
    return removed + _remove_old_trees()


def clean_given(options: TargetOptions, choice: Choice) -> tuple[list[str], list[str]]:
    """Remove from a given server what dead runs left on it and, in its database, what they left there.

    Returns:
        what was removed, and what could not be.
    Raises:
        SetUpFault: it can't be reached or must not be used.
    """
    reached = reach(options, choice)
    removed: list[str] = []
    problems: list[str] = []
    with connect.connected(reached.conninfo, reached.what) as control:
        removed, problems = cleanup.drop_dead_databases(control)
        dropped, kept = _drop_templates(control)
        removed += dropped
        problems += kept
        if reached.found.has_pgflow and not reached.found.unsupported:
            for nonce in cleanup.dead_nonces(control):
                problems += cleanup.clean_prefix(control, nonce)
                removed.append(f"rows of repetition {nonce:016x}")
        dropped, kept = cleanup.drop_dead_objects(control)
    return removed + dropped, problems + kept


def _drop_unused_templates(instance: Instance) -> list[str]:
    """Templates are caches; dropped where we are the server's only user, since a clone of one may be due any moment."""
    if len(live_leases(instance.leases)) > 1:
        return []
    with connect.connected(embedded_conninfo(instance, "postgres"), WHAT) as control:
        return _drop_templates(control)[0]


def _drop_templates(control: Connection) -> tuple[list[str], list[str]]:
    if cleanup.held_locks(control, LEASE_LOCK) or cleanup.held_locks(control, TEMPLATE_LOCK):
        return [], []
    removed: list[str] = []
    problems: list[str] = []
    for (name,) in connect.rows(
        control, "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", OBJECT_PREFIX
    ):
        if is_template_of_ours(name):
            left = drop_database(control, name)
            problems += left
            removed += [] if left else [name]
    return removed, problems


def _remove_old_trees() -> list[str]:
    """Copies of pginstall for versions that are no longer installed; kept while any server might run from one."""
    state = state_folder()
    if any(instance.running() is not None for instance in instances(state)):
        return []
    current = ""
    with contextlib.suppress(SetUpFault):
        current = f"pginstall-{package_version()}"
    old = [tree for tree in state.glob("pginstall-*") if tree.name != current]
    for tree in old:
        shutil.rmtree(tree, ignore_errors=True)
    return [tree.name for tree in old]
