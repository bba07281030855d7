"""pgbench beside us: found, run on one connection, and what it and its process cost, without their start.

What a start costs (the process, the connection, preparing every statement once) is told by runs of one transaction and
taken off, in time as in CPU: our side starts and prepares before it is measured.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.target.pginstall import packaged_tree

_APPLICATION_NAME = "pgflow-stress: pgbench"
_TPS = re.compile(r"^tps = ([\d.]+) \((?:without initial|excluding) conn", re.M)
_VERSION = re.compile(r"pgbench \(PostgreSQL\) (\d+)(\S*)")
_STARTS = 3
_APPEARS_SECONDS = 2.0
_STAYS_SECONDS = 0.02
_VERSION_SECONDS = 10.0
_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT  # looks, and leaves the status to whoever waits


class PgbenchFailed(Exception):
    """It could not be run, or said that it failed; the text is one line."""


@dataclass(frozen=True, slots=True)
class Pgbench:
    """A pgbench that runs here."""

    path: Path
    version: str  # 18.6
    major: int


@dataclass(frozen=True, slots=True)
class Spent:
    """One run: seconds of its transactions, and user + system CPU of its whole process."""

    seconds: float
    cpu_ns: float


def find_pgbench(wants_tls: bool) -> Pgbench | None:
    """The embedded server's own, which has no TLS; else the one of PATH; None where there is none."""
    candidates = []
    if not wants_tls:
        with contextlib.suppress(SetUpFault):
            candidates.append(packaged_tree() / "bin" / "pgbench")
    if found := shutil.which("pgbench"):
        candidates.append(Path(found))
    return next((known for path in candidates if (known := _known(path))), None)


def _known(path: Path) -> Pgbench | None:
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(said)
    return Pgbench(path, match[1] + match[2], int(match[1])) if match else None


class PgbenchScript:
    """One script on one target, run again and again; a context manager, since the script is a file."""

    def __init__(
        self,
        pgbench: Pgbench,
        conninfo: str,
        script: str,
        watcher: psycopg.Connection[Any],
        backend_cpus: Sequence[int],
    ) -> None:
        """`watcher`: a connection to the same server, by which its backend is found where it is to be pinned."""
        parameters = conninfo_to_dict(conninfo)
        password = parameters.pop("password", None)  # whoever may call ps would read it
        self._environment = {**os.environ, "PGAPPNAME": _APPLICATION_NAME}
        if password is not None:
            self._environment["PGPASSWORD"] = str(password)
        self._conninfo = make_conninfo("", **parameters)
        self._pgbench, self._script = pgbench, script
        self._watcher, self._backend_cpus = watcher, backend_cpus
        self._start: Spent | None = None

    def __enter__(self) -> PgbenchScript:
        """Write the script."""
        self._folder = tempfile.TemporaryDirectory(prefix="pgflow-stress-")
        self._path = Path(self._folder.name, "script.sql")
        self._path.write_text(self._script)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        self._folder.cleanup()

    def spend(self, transactions: int) -> Spent:
        """Run that many transactions after a first one; what they took, without the start and the first.

        Raises:
            PgbenchFailed: as it says.
        """
        start = self._start = self._start or self._measure_start()
        whole = self._run(1 + transactions)
        # A start that happened to be slow must not make the rest negative.
        return Spent(max(whole.seconds - start.seconds, 1e-9), max(whole.cpu_ns - start.cpu_ns, 0.0))

    def _measure_start(self) -> Spent:
        starts = [self._run(1) for _ in range(_STARTS)]
        return Spent(statistics.median(s.seconds for s in starts), statistics.median(s.cpu_ns for s in starts))

    def _run(self, transactions: int) -> Spent:
        command = [
            str(self._pgbench.path), "-n", "-M", "prepared", "-c", "1", "-j", "1", "-t", str(transactions),
            "-f", str(self._path), self._conninfo,
        ]  # fmt: skip
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=self._environment
            )
            try:
                if self._backend_cpus and transactions > 1:
                    self._pin(process)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
            output.seek(0)
            said = output.read().decode(errors="replace")
        found = _TPS.search(said)
        if process.returncode != 0 or found is None:
            lines = [line for line in said.splitlines() if "error" in line or "FATAL" in line] or said.splitlines()
            raise PgbenchFailed(f"pgbench ended with {process.returncode}: {lines[-1] if lines else 'no word of why'}")
        return Spent(transactions / float(found[1]), (usage.ru_utime + usage.ru_stime) * NS_PER_SECOND)

    def _pin(self, process: subprocess.Popen[bytes]) -> None:
        # It connects twice: first to look at the server, for a moment, then to run the script.
        deadline = time.monotonic() + _APPEARS_SECONDS
        pinned: dict[int, float] = {}
        while time.monotonic() < deadline and os.waitid(os.P_PID, process.pid, _ENDED) is None:
            for (backend,) in self._watcher.execute(
                "select pid from pg_stat_activity where application_name = %s and datname = current_database()",
                (_APPLICATION_NAME,),
            ):
                if backend not in pinned:
                    self._pin_if_there(backend)
                    pinned[backend] = time.monotonic()
                elif time.monotonic() - pinned[backend] > _STAYS_SECONDS:
                    return
            time.sleep(0.002)

    def _pin_if_there(self, backend: int) -> None:
        try:
            pin_backend(backend, self._backend_cpus)
        except SetUpFault:
            if Path(f"/proc/{backend}").exists():
                raise
