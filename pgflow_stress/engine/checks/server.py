"""Checks of the server and of the way to it."""

from __future__ import annotations

from pgflow_stress.core.checkup import Finding, bad, ok, warn
from pgflow_stress.core.units import BYTES_PER_MIB, NS_PER_MS, NS_PER_US
from pgflow_stress.engine.checks.facts import Facts
from pgflow_stress.target.base import PoolMode

_FREE_WARN_BYTES, _FREE_BAD_BYTES = 10 * 1024 * BYTES_PER_MIB, 1024 * BYTES_PER_MIB
_SLOW_ROUND_TRIP_NS = NS_PER_MS
_MEMORY = ("tmpfs", "ramfs")
_LAYERED = ("overlay", "aufs", "fuse.fuse-overlayfs")
_NETWORK = ("nfs", "nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs")


def data_directory(facts: Facts) -> Finding | None:
    """What the server's data lies on."""
    disk = facts.server.disk if facts.server else None
    if disk is None:
        return None
    mend = "put the data on a disk like production's" + (
        " (PGFLOW_STRESS_STATE)" if facts.server and facts.server.embedded else ""
    )
    said = f"the server's data is on {disk.filesystem or 'an unknown file system'}"
    if disk.filesystem in _MEMORY:
        return bad(f"{said}, which is memory: commits cost nothing", mend)
    if disk.filesystem in _LAYERED:
        return warn(f"{said}, a container's layers: other costs than a disk of its own", mend)
    if disk.filesystem in _NETWORK:
        return warn(f"{said}, which goes over a network or out of the virtual machine", mend)
    return ok(said)


def free_space(facts: Facts) -> Finding | None:
    """Whether there is room beside the server's data."""
    disk = facts.server.disk if facts.server else None
    if disk is None:
        return None
    said = f"{disk.free_bytes / BYTES_PER_MIB / 1024:,.1f} GiB free beside the server's data"
    mend = "free some: a long run keeps several GiB of WAL"
    if disk.free_bytes < _FREE_BAD_BYTES:
        return bad(said, mend)
    return warn(said, mend) if disk.free_bytes < _FREE_WARN_BYTES else ok(said)


def transport(facts: Facts) -> Finding | None:
    """Whether the connection is encrypted."""
    if facts.server is None or facts.server.tls is None:
        return None
    if not facts.server.tls:
        return ok("connections are not encrypted")
    return warn("connections use TLS, which costs client and server CPU", "keep it only if production has it too")


def round_trip(facts: Facts) -> Finding | None:
    """How long an empty statement takes."""
    found_ns = facts.server.round_trip_ns if facts.server else None
    if found_ns is None:
        return None
    said = f"an empty statement takes {found_ns / NS_PER_US:,.0f} us"
    if found_ns < _SLOW_ROUND_TRIP_NS:
        return ok(said)
    return warn(f"{said}: with a statement each, the way is what is measured", "run the tool beside the server")


def pooler(facts: Facts) -> Finding | None:
    """Whether something sits between us and the server."""
    server = facts.server
    if server is None or server.embedded:
        return None
    found = server.pooler
    if found is None:
        return ok("connections reach the server itself")
    said = f"a pooler is in between ({found.product}, {found.mode} mode)"
    if found.mode is PoolMode.STATEMENT:
        return bad(f"{said}, which takes no transactions", "use another pool, or the server's own address")
    if found.mode is PoolMode.TRANSACTION and not found.direct:
        return bad(
            f"{said}: no session lasts",
            "give the server's own address (Supabase: port 5432), alone as --dsn or beside it as --direct-dsn",
        )
    return warn(
        f"{said}: the workers' figures are of it too, and backends are not the connections' own",
        "keep it only if production has it too",
    )


def pgflow(facts: Facts) -> Finding | None:
    """Which pgflow is there."""
    server = facts.server
    if server is None or server.embedded:
        return None
    if server.unsupported:
        return bad(f"its pgflow is not supported: {server.unsupported}", "update it, or use --isolation fresh")
    if server.pgflow is None:
        return warn("no pgflow there", "pgflow-stress db install --dsn …, or --isolation fresh")
    return ok(f"pgflow {server.pgflow}")


def events(facts: Facts) -> Finding | None:
    """Whether events can be stored today and tomorrow."""
    server = facts.server
    if server is None or server.embedded or server.pgflow is None:
        return None
    if not server.events:
        return ok("realtime.messages takes events today and tomorrow")
    return warn(f"events are lost: {server.events}", "make the partition (Supabase's realtime service does so daily)")


def rights(facts: Facts) -> Finding | None:
    """Whether the role may do what a run does."""
    missing = facts.server.missing_rights if facts.server else None
    if missing is None:
        return None
    return (
        bad(f"the role lacks {'; '.join(missing)}", "grant it, or use a role that has it")
        if missing
        else ok("the role has every right that a run needs")
    )


def leftovers(facts: Facts) -> Finding | None:
    """What dead runs left."""
    if facts.server is None:
        return None
    left = facts.server.leftovers
    if not left:
        return ok("nothing is left of dead runs")
    shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    return warn(f"left by dead runs: {shown}", "pgflow-stress db clean" + ("" if facts.server.embedded else " --dsn …"))
