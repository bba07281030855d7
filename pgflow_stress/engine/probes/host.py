"""The host: what each core did and at which frequency, what was held up for want of a resource, load, disks."""

from __future__ import annotations

from pathlib import Path

from pgflow_stress.engine.probes.base import Means, Quiet
from pgflow_stress.engine.proc import ProcFile, parse_cpus, parse_disks, parse_pressure, read

_RESOURCES = ("cpu", "io", "memory")
_NOT_DISKS = ("loop", "ram", "zram", "fd", "sr")
ROLE = "host"


class Host(Quiet):
    """Reads /proc and /sys once a tick."""

    def __init__(self, means: Means) -> None:
        """Opens what there is."""
        self._book = means.book
        self._stat = ProcFile("/proc/stat")
        self._load = ProcFile("/proc/loadavg")
        self._pressure = {}
        self._disks = {path.name for path in Path("/sys/block").glob("*") if not path.name.startswith(_NOT_DISKS)}
        self._diskstats = None
        try:
            self._diskstats = ProcFile("/proc/diskstats")
            self._pressure = {name: ProcFile(f"/proc/pressure/{name}") for name in _RESOURCES}
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
        put = self._book.put
        for cpu, times in parse_cpus(self._stat.read()).items():
            for metric, value in zip(("cpu_busy_total", "cpu_iowait_total", "cpu_steal_total"), times, strict=True):
                put(ROLE, cpu, metric, value, "ns")
        put(ROLE, "host", "load_1m", float(self._load.read().split()[0]), "processes")
        for name, file in self._pressure.items():
            for kind, held_up_ns in parse_pressure(file.read()).items():
                put(ROLE, name, f"pressure_{kind}_total", held_up_ns, "ns")
        self._tick_disks()
        for cpu, path in self._frequencies.items():
            if text := read(path):
                put(ROLE, cpu, "frequency", int(text) * 1000, "hertz")

    def _tick_disks(self) -> None:
        if self._diskstats is None:
            return
        names = (("read_total", "bytes"), ("written_total", "bytes"), ("busy_total", "ns"))
        for device, values in parse_disks(self._diskstats.read()).items():
            if device in self._disks and any(values):
                for (metric, unit), value in zip(names, values, strict=True):
                    self._book.put(ROLE, device, metric, value, unit)
