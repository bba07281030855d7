"""A server on another host: its cores, what was held up there, disks, and our backends' CPU time, read through SQL.

PostgreSQL reads files for whoever may (a superuser, or pg_read_server_files with EXECUTE on pg_read_file): its /proc is
what ours is here. A managed server lets nobody, and then says so.
"""

from __future__ import annotations

import psycopg

from pgflow_stress.engine.probes.activity import BACKEND_OF
from pgflow_stress.engine.probes.base import Means, Quiet, Unseen
from pgflow_stress.engine.probes.host import RESOURCES, put_cores, put_disks, put_load, put_pressure
from pgflow_stress.engine.probes.processes import SERVER
from pgflow_stress.engine.proc import parse_schedstat

ROLE = "server host"
_STAT, _LOAD, _DISKS = "/proc/stat", "/proc/loadavg", "/proc/diskstats"
_PRESSURE = {name: f"/proc/pressure/{name}" for name in RESOURCES}
_MOST_CHARACTERS = 1 << 20
_READ = f"select p.path, pg_read_file(p.path, 0, {_MOST_CHARACTERS}, true) from unnest(%s::text[]) as p(path)"


class Elsewhere(Quiet):
    """Reads the server's /proc once a tick, in one statement."""

    def __init__(self, means: Means) -> None:
        """Nothing where the server is on this host: others see to it."""
        if means.postmaster is not None:
            raise Unseen("")
        self._means = means
        try:
            found = self._files([_STAT, _DISKS, *_PRESSURE.values()])
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise Unseen(f"the server's host: CPU, pressure, disks, backends' CPU time: {reason}") from None
        if not found:
            raise Unseen("the server's host: CPU, pressure, disks, backends' CPU time: it has no /proc")
        self._paths = [*found, _LOAD]

    def _files(self, paths: list[str]) -> dict[str, bytes]:
        """Those that are there."""
        rows = self._means.connection.execute(_READ.encode(), (paths,)).fetchall()
        return {path: text.encode() for path, text in rows if text}

    def tick(self) -> None:
        """Counters of cores, pressure and disks; what backends of our own used and waited for a core."""
        backends = {
            f"/proc/{pid}/schedstat": subject
            for pid, subject in self._means.backends.items()
            if subject.startswith(BACKEND_OF)
        }
        book, found = self._means.book, self._files([*self._paths, *backends])
        if _STAT in found:
            put_cores(book, ROLE, found[_STAT])
        if _LOAD in found:
            put_load(book, ROLE, found[_LOAD])
        if _DISKS in found:
            put_disks(book, ROLE, found[_DISKS])
        for name, path in _PRESSURE.items():
            if path in found:
                put_pressure(book, ROLE, name, found[path])
        for path, subject in backends.items():
            if path in found:
                on_cpu_ns, waiting_ns = parse_schedstat(found[path])
                book.put(SERVER, subject, "cpu_total", on_cpu_ns, "ns")
                book.put(SERVER, subject, "run_queue_total", waiting_ns, "ns")
