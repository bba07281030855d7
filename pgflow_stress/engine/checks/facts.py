"""What the checks judge, as it was found: nothing here judges, so that every check is a function of plain values."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pgflow_stress.core.libpq import LibpqChoice
from pgflow_stress.engine.host import host
from pgflow_stress.scenario.options import default_workers
from pgflow_stress.target.base import Pooler

_SAMPLE_SECONDS = 0.5
_CPU = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class Disk:
    """Where data lies."""

    path: str
    filesystem: str  # ext4, tmpfs, overlay…; empty where unknown
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """What the processors did during a short sample in which we slept; shares of all of them."""

    busy: float
    steal: float


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server as a connection finds it; None where that could not be asked."""

    what: str  # for messages
    embedded: bool
    local: bool
    settings: Mapping[str, str] = field(default_factory=dict)  # by name, as SHOW tells them
    disk: Disk | None = None
    tls: bool | None = None
    round_trip_ns: float | None = None
    pooler: Pooler | None = None  # in between
    pgflow: str | None = None  # its version or label
    unsupported: str = ""
    events: str = ""  # why events are not stored
    missing_rights: tuple[str, ...] | None = None
    leftovers: tuple[str, ...] = ()
    running: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was looked at."""

    machine: Mapping[str, Any]  # engine.host.host()
    load: Load
    swap_used_bytes: int
    memory_available_bytes: int
    workers: int  # the default
    turbo: bool | None = None
    libpq: LibpqChoice | None = None
    psycopg: str | None = None  # c, python, binary
    server: ServerFacts | None = None


def look(libpq: LibpqChoice | None, psycopg: str | None, server: ServerFacts | None) -> Facts:
    """Look at this machine; takes half a second."""
    return Facts(
        machine=host(),
        load=sample_load(_SAMPLE_SECONDS),
        swap_used_bytes=psutil.swap_memory().used,
        memory_available_bytes=psutil.virtual_memory().available,
        workers=default_workers(),
        turbo=turbo_on(),
        libpq=libpq,
        psycopg=psycopg,
        server=server,
    )


def turbo_on() -> bool | None:
    """Whether the processor may exceed its nominal clock rate; None where the kernel does not say."""
    for name, when_on in (("intel_pstate/no_turbo", "0"), ("cpufreq/boost", "1")):
        try:
            return (_CPU / name).read_text().strip() == when_on
        except OSError:
            continue
    return None


def sample_load(seconds: float) -> Load:
    """Sleep, and say what the processors did meanwhile."""
    before = psutil.cpu_times()
    time.sleep(seconds)
    spent = {name: now - then for name, now, then in zip(before._fields, psutil.cpu_times(), before, strict=True)}
    # guest is a part of user, and guest_nice of nice: counted once.
    total = sum(share for name, share in spent.items() if not name.startswith("guest"))
    if total <= 0:
        return Load(0.0, 0.0)
    idle, steal = spent["idle"] + spent.get("iowait", 0.0), spent.get("steal", 0.0)
    return Load(max(0.0, (total - idle - steal) / total), steal / total)


def disk_of(path: Path) -> Disk | None:
    """The disk of a folder, or of its nearest parent that exists; None where nothing of it can be seen."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        space = os.statvfs(path)
        return Disk(str(path), filesystem_of(path.resolve()), space.f_bavail * space.f_frsize)
    except OSError:
        return None


def filesystem_of(path: Path) -> str:
    """The type of the file system that a path is on: of the longest mount point above it, the last mounted one."""
    found, length = "", -1
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split(" ")[4].replace("\\040", " ")
        if path.is_relative_to(mount) and len(mount) >= length:
            found, length = right.split(" ")[0], len(mount)
    return found
