"""The host: what each core did and at which frequency, what was held up for want of a resource, load, disks."""

from __future__ import annotations

import re
from pathlib import Path

from pgflow_stress.engine.probes.base import Means, Quiet
from pgflow_stress.engine.proc import ProcFile, parse_cpus, parse_disks, parse_pressure, read
from pgflow_stress.engine.sampler_book import Book

RESOURCES = ("cpu", "io", "memory")
_NOT_DISKS = ("loop", "ram", "zram", "fd", "sr")
_PARTITION = re.compile(r"(?<=\d)p\d+$|(?<=[a-z])\d+$")
ROLE = "host"


class Host(Quiet):
    """Reads /proc and /sys once a tick."""

    def __init__(self, means: Means) -> None:
        """Opens what there is."""
        self._book = means.book
        self._stat = ProcFile("/proc/stat")
        self._load = ProcFile("/proc/loadavg")
        self._pressure = {}
        self._diskstats = None
        try:
            self._diskstats = ProcFile("/proc/diskstats")
            self._pressure = {name: ProcFile(f"/proc/pressure/{name}") for name in RESOURCES}
        except OSError:
            means.book.unseen("host: pressure (PSI) or disks: this kernel does not tell")
        self._frequencies = {
            path.parts[-3]: str(path)
            for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
        }
        if not self._frequencies:
            means.book.unseen("host: the cores' frequency: this kernel has no cpufreq")

    def tick(self) -> None:
        """Counters of cores, pressure and disks; load and frequency as they are."""
        put_cores(self._book, ROLE, self._stat.read())
        put_load(self._book, ROLE, self._load.read())
        for name, file in self._pressure.items():
            put_pressure(self._book, ROLE, name, file.read())
        if self._diskstats is not None:
            put_disks(self._book, ROLE, self._diskstats.read())
        for cpu, path in self._frequencies.items():
            if text := read(path):
                self._book.put(ROLE, cpu, "frequency", int(text) * 1000, "hertz")


def put_cores(book: Book, role: str, text: bytes) -> None:
    """What each core did, of /proc/stat."""
    for cpu, times in parse_cpus(text).items():
        for metric, value in zip(("cpu_busy_total", "cpu_iowait_total", "cpu_steal_total"), times, strict=True):
            book.put(role, cpu, metric, value, "ns")


def put_load(book: Book, role: str, text: bytes) -> None:
    """The load of the last minute, of /proc/loadavg."""
    book.put(role, "host", "load_1m", float(text.split()[0]), "processes")


def put_pressure(book: Book, role: str, name: str, text: bytes) -> None:
    """What was held up for want of one resource, of /proc/pressure."""
    for kind, held_up_ns in parse_pressure(text).items():
        book.put(role, name, f"pressure_{kind}_total", held_up_ns, "ns")


def put_disks(book: Book, role: str, text: bytes) -> None:
    """What each disk did, of /proc/diskstats; its partitions are in it already."""
    names = (("read_total", "bytes"), ("written_total", "bytes"), ("busy_total", "ns"))
    for device, values in whole_disks(parse_disks(text)).items():
        if any(values):
            for (metric, unit), value in zip(names, values, strict=True):
                book.put(role, device, metric, value, unit)


def whole_disks(found: dict[str, tuple[int, int, int]]) -> dict[str, tuple[int, int, int]]:
    """Without partitions (sda1, nvme0n1p2), and without what is no disk."""
    return {
        device: values
        for device, values in found.items()
        if not device.startswith(_NOT_DISKS) and _PARTITION.sub("", device) not in found.keys() - {device}
    }
