"""What /proc says of a process, of its host and of a local server's processes. Fields by proc(5)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.core.units import BYTES_PER_KIB, NS_PER_SECOND, NS_PER_US

TICK_NS = NS_PER_SECOND // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SECTOR_BYTES = 512  # of /proc/diskstats, whatever the device's is
_READ_BYTES = 8192
_PEAK_OF_RSS = b"5"  # what clear_refs is told to reset the peak alone: nothing is walked


@dataclass(frozen=True, slots=True)
class Stat:
    """Of /proc/PID/stat; times in ns, by the kernel's ticks."""

    parent: int
    minor_faults: int
    major_faults: int
    user_ns: int
    system_ns: int
    children_ns: int  # user and system, of children that have ended and were waited for
    rss_bytes: int


def parse_stat(text: bytes) -> Stat:
    """A command may hold blanks and brackets: fields are counted from the last one."""
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        parent=int(fields[1]),
        minor_faults=int(fields[7]),
        major_faults=int(fields[9]),
        user_ns=int(fields[11]) * TICK_NS,
        system_ns=int(fields[12]) * TICK_NS,
        children_ns=(int(fields[13]) + int(fields[14])) * TICK_NS,
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def parse_schedstat(text: bytes) -> tuple[int, int]:
    """(ns on a CPU, ns waiting in a run queue)."""
    on_cpu, waiting, *_ = text.split()
    return int(on_cpu), int(waiting)


def parse_status(text: bytes) -> dict[str, int]:
    """Peak and switches: rss_peak_bytes, voluntary, involuntary; those that are there."""
    names = {b"VmHWM": "rss_peak_bytes", b"voluntary_ctxt_switches": "voluntary"}
    names[b"nonvoluntary_ctxt_switches"] = "involuntary"
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name in names:
            scale = BYTES_PER_KIB if value.endswith(b"kB") else 1
            found[names[name]] = int(value.split()[0]) * scale
    return found


def parse_keyed(text: bytes) -> dict[str, int]:
    """Lines "name: number", as of /proc/PID/io and smaps_rollup; kB are made bytes."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(b":")
        fields = value.split()
        if colon and b" " not in name and fields and fields[0].isdigit():
            found[name.decode()] = int(fields[0]) * (BYTES_PER_KIB if fields[1:] == [b"kB"] else 1)
    return found


def parse_pressure(text: bytes) -> dict[str, int]:
    """Of /proc/pressure/X: ns in which some, and all, were held up: {"some": ns, "full": ns}."""
    found = {}
    for line in text.splitlines():
        kind, *fields = line.split()
        found[kind.decode()] = int(fields[-1].partition(b"=")[2]) * NS_PER_US
    return found


def parse_cpus(text: bytes) -> dict[str, tuple[int, int, int]]:
    """Of /proc/stat: by CPU, "cpu0", ns (busy with what was not stolen, waiting for a disk, stolen)."""
    found = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if not name.startswith(b"cpu"):
            break
        if name != b"cpu":
            user, nice, system, _idle, waiting, irq, softirq, stolen = (int(field) for field in fields[:8])
            busy = user + nice + system + irq + softirq
            found[name.decode()] = (busy * TICK_NS, waiting * TICK_NS, stolen * TICK_NS)
    return found


def parse_disks(text: bytes) -> dict[str, tuple[int, int, int]]:
    """Of /proc/diskstats: by device (bytes read, bytes written, ns with requests in flight)."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        found[fields[2].decode()] = (
            int(fields[5]) * SECTOR_BYTES,
            int(fields[9]) * SECTOR_BYTES,
            int(fields[12]) * 1_000_000,
        )
    return found


class ProcFile:
    """A file of /proc that is read again and again: opened once."""

    def __init__(self, path: str) -> None:
        """Raises OSError where it is not there or not ours to read."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        """All of it, as it is now. Raises OSError where its process has ended."""
        parts = []
        at = 0
        while part := os.pread(self._descriptor, _READ_BYTES, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


def read(path: str) -> bytes | None:
    """A file of /proc, once; None where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def reset_peak(pid: int | str = "self") -> bool:
    """Have the kernel count a process's peak memory (VmHWM) from now on; whether it may be."""
    try:
        descriptor = os.open(f"/proc/{pid}/clear_refs", os.O_WRONLY)
    except OSError:
        return False
    try:
        return os.write(descriptor, _PEAK_OF_RSS) == len(_PEAK_OF_RSS)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    """Child processes now; [] where that cannot be seen."""
    text = read(f"/proc/{pid}/task/{pid}/children")
    if text is not None:
        return [int(child) for child in text.split()]
    found = []
    for entry in os.scandir("/proc"):  # a kernel without CONFIG_PROC_CHILDREN
        if entry.name.isdigit() and (stat := read(f"/proc/{entry.name}/stat")):
            with contextlib.suppress(ValueError):
                found += [int(entry.name)] if parse_stat(stat).parent == pid else []
    return found
