"""Processes of ours and of a local server: memory, CPU by kind, run-queue delay, switches, faults, input and output.

A subject is what a process is for ("worker 0", "checkpointer", "backend of worker 0"), not its number: processes that
end keep their part of the subject's counters. Peaks are the kernel's (VmHWM), from just before the window where it lets
us reset them, which the metric's name says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from pgflow_stress.core.arena import Int64s, Word
from pgflow_stress.core.telemetry import House, Vital
from pgflow_stress.engine.probes.base import Means, Quiet
from pgflow_stress.engine.proc import (
    ProcFile,
    children,
    parse_keyed,
    parse_schedstat,
    parse_stat,
    parse_status,
    read,
    reset_peak,
)

SINCE_WINDOW = "rss_peak"
SINCE_START = "rss_peak_since_start"
SERVER = "postgres"
_COUNTERS = (  # of one process, in the order of _Seen.counters
    ("cpu_user_total", "ns"),
    ("cpu_system_total", "ns"),
    ("cpu_total", "ns"),  # by the scheduler's clock, which has no ticks
    ("run_queue_total", "ns"),
    ("faults_minor_total", "faults"),
    ("faults_major_total", "faults"),
    ("switches_voluntary_total", "switches"),
    ("switches_involuntary_total", "switches"),
    ("read_total", "bytes"),
    ("written_total", "bytes"),
)
_MOST_USS = 64  # processes whose page tables are walked at a boundary


@dataclass
class _Seen:
    """One process, its files open."""

    role: str
    subject: str
    files: list[ProcFile]
    io: ProcFile | None
    vitals: Int64s | None  # where it says that it has reset its own peak; None: it was reset from here, if it may be
    since_window: bool
    counters: tuple[int, ...] = ()
    rss_bytes: int = 0
    peak_bytes: int = 0
    ended: bool = False


@dataclass
class _Total:
    """What processes of one subject that have ended left behind."""

    counters: list[int] = field(default_factory=lambda: [0] * len(_COUNTERS))
    peaks: dict[str, int] = field(default_factory=dict)


class Processes(Quiet):
    """Reads each living process once a tick."""

    def __init__(self, means: Means) -> None:
        """Nothing is read yet."""
        self._means = means
        self._seen: dict[int, _Seen] = {}
        self._ended: dict[tuple[str, str], _Total] = {}
        self._window = False

    def begin(self) -> None:
        """Have the server's peaks counted from here."""
        if self._means.postmaster is None:
            self._means.book.unseen("processes: the server's are not on this host, or not to be told from others")
        self._look()

    def boundary(self) -> None:
        """Memory that is a process's own (USS) and its share of what is shared (PSS): a walk of its page tables."""
        self._look()
        for pid, seen in list(self._seen.items())[:_MOST_USS]:
            text = None if seen.ended else read(f"/proc/{pid}/smaps_rollup")
            if text:
                found = parse_keyed(text)
                own = found.get("Private_Clean", 0) + found.get("Private_Dirty", 0)
                self._means.book.put(seen.role, seen.subject, "uss", own, "bytes")
                self._means.book.put(seen.role, seen.subject, "pss", found.get("Pss", 0), "bytes")

    def tick(self) -> None:
        """A point a subject and metric."""
        self._look()
        totals = {key: _Total(list(of.counters), dict(of.peaks)) for key, of in self._ended.items()}
        resident: dict[tuple[str, str], int] = dict.fromkeys(totals, 0)
        for seen in list(self._seen.values()):
            self._read(seen)
            key = (seen.role, seen.subject)
            resident[key] = resident.get(key, 0) + (0 if seen.ended else seen.rss_bytes)
            _add(totals.setdefault(key, _Total()), seen)
        for (role, subject), total in totals.items():
            self._put(role, subject, total, resident[(role, subject)])
        self._forget()

    def _put(self, role: str, subject: str, total: _Total, resident: int) -> None:
        book = self._means.book
        book.put(role, subject, "rss", resident, "bytes")
        for name, peak in total.peaks.items():
            book.put(role, subject, name, peak, "bytes")
        for (metric, unit), value in zip(_COUNTERS, total.counters, strict=True):
            book.put(role, subject, metric, value, unit)

    def _look(self) -> None:
        """Take note of processes that came."""
        for pid, (role, subject, vitals) in self._found().items():
            if pid not in self._seen:
                self._open(pid, role, subject, vitals)

    def _found(self) -> dict[int, tuple[str, str, Int64s | None]]:
        means, arena = self._means, self._means.arena
        found: dict[int, tuple[str, str, Int64s | None]] = {}
        for region in means.regions():
            found[int(arena.words[region, Word.PID])] = (*means.of_region(region), arena.vitals[region])
        found[means.order.coordinator_pid] = ("coordinator", "coordinator", arena.house[House.COORDINATOR])
        found[os.getppid()] = ("nursery", "nursery", None)
        if means.postmaster is not None:
            found[means.postmaster] = (SERVER, "postmaster", None)
            for pid in children(means.postmaster):
                found[pid] = (SERVER, means.backends.get(pid, "other"), None)
        return found

    def _open(self, pid: int, role: str, subject: str, vitals: Int64s | None) -> None:
        try:
            files = [ProcFile(f"/proc/{pid}/{name}") for name in ("stat", "schedstat", "status")]
        except OSError:
            return
        since_window = vitals is None and reset_peak(pid)
        self._seen[pid] = _Seen(role, subject, files, self._io(pid), vitals, since_window)

    def _io(self, pid: int) -> ProcFile | None:
        if not self._means.full:
            return None
        try:
            return ProcFile(f"/proc/{pid}/io")
        except OSError:
            self._means.book.unseen("processes: what the server's read and wrote: another user's, needs root")
            return None

    def _read(self, seen: _Seen) -> None:
        try:
            stat, on_cpu, status = (file.read() for file in seen.files)
            io = parse_keyed(seen.io.read()) if seen.io else {}
            if not stat or not on_cpu:
                raise ProcessLookupError
        except OSError:
            seen.ended = True
            return
        of, (cpu_ns, waiting_ns), told = parse_stat(stat), parse_schedstat(on_cpu), parse_status(status)
        if seen.vitals is not None:
            seen.since_window = bool(seen.vitals[Vital.PEAK_RESET])
        seen.rss_bytes = of.rss_bytes
        seen.peak_bytes = max(seen.peak_bytes, told.get("rss_peak_bytes", 0))
        seen.counters = (
            of.user_ns, of.system_ns, cpu_ns, waiting_ns, of.minor_faults, of.major_faults,
            told.get("voluntary", 0), told.get("involuntary", 0), io.get("read_bytes", 0), io.get("write_bytes", 0),
        )  # fmt: skip

    def _forget(self) -> None:
        for pid, seen in list(self._seen.items()):
            if seen.ended:
                _add(self._ended.setdefault((seen.role, seen.subject), _Total()), seen)
                for file in (*seen.files, *([seen.io] if seen.io else [])):
                    file.close()
                del self._seen[pid]


def _add(total: _Total, seen: _Seen) -> None:
    for place, value in enumerate(seen.counters):
        total.counters[place] += value
    name = SINCE_WINDOW if seen.since_window else SINCE_START
    if seen.peak_bytes:
        total.peaks[name] = max(total.peaks.get(name, 0), seen.peak_bytes)
