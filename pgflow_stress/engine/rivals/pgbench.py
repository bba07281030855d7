"""pgbench sending the statements of a worker: its script, its run, its CPU time."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgflow_stress.core.errors import RunFailed, SetUpFault, UsageFault
from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND, NS_PER_US
from pgflow_stress.engine.calibration import ceiling
from pgflow_stress.engine.calibration.ground import on_cpus
from pgflow_stress.engine.calibration.pgbench import Pgbench as Found
from pgflow_stress.engine.calibration.pgbench import find_pgbench
from pgflow_stress.engine.pinning import pin_backend
from pgflow_stress.engine.rivals.base import (
    PRIME_BATCH,
    PRIME_BATCHES,
    VT_SECONDS,
    Figures,
    Job,
    connect,
    register,
)
from pgflow_stress.engine.rivals.pgbench_script import cycle_script, outputs
from pgflow_stress.scenario.options import Mode, RunOptions

_APPLICATION_NAME = "pgflow-stress: pgbench"
_LEAST_MAJOR = {Mode.PIPELINE: 17}  # \syncpipeline
_MOST_ARGUMENT_BYTES = 100_000  # the kernel takes 128 KiB of one
_AROUND_BYTES = 16  # of an output: quotes, and what stands before those within it
_LOOK_SECONDS = 0.01
_BACKENDS = (
    "select pid from pg_stat_activity where application_name = %s and datname = current_database() "
    "and state is not null"
)


@dataclass(frozen=True, slots=True)
class _Spent:
    """One process: CPU time of all of it, and from the end of priming to its last transaction's end."""

    cpu_ns: float
    measured_ns: int


class Pgbench:
    """One client of pgbench in prepared mode, primed like a worker of ours."""

    metrics = ("process.per_second", "client.cpu_ns_per_task")

    def __init__(self, pgbench: Found, mode: Mode) -> None:
        """One that knows the mode."""
        self._pgbench, self._mode = pgbench, mode

    def about(self) -> Json:
        """What it is, and its version."""
        return {
            "what": "pgbench -M prepared -c 1 -j 1, the statements of a worker, a transaction a cycle",
            "pgbench": self._pgbench.version,
            "primed": True,
        }

    def drive(self, job: Job) -> Figures:
        """Create and start untimed, then prime and drain in one process; another that only primes is subtracted."""
        # Completions one by one are as many statements of the script: a short batch would leave variables empty.
        prime_batch = PRIME_BATCH if self._mode is Mode.BATCH else job.batch
        primes = prime_batch * PRIME_BATCHES
        prefix = job.database.slug_prefix
        with connect(job.database.conninfo) as connection:
            worker = register(connection, job)
            for index, name in enumerate("pq", start=1):
                ceiling.start(connection, f"{prefix}{name}", run_id(job.nonce, index), primes)
            ceiling.start(connection, job.flow, job.run, job.steps)
            fixed = {
                "n": 0, "worker": worker, "qty": prime_batch, "batch": job.batch, "main": job.flow,
                "outs": outputs(job.output, prime_batch), "outs_main": outputs(job.output, job.batch),
            }  # fmt: skip
            idle = self._run(job, connection, {**fixed, "flow": f"{prefix}q"}, 0)
            whole = self._run(job, connection, {**fixed, "flow": f"{prefix}p"}, job.steps // job.batch)
        return {
            "process.per_second": job.steps * NS_PER_SECOND / whole.measured_ns,
            "client.cpu_ns_per_task": max(1.0, whole.cpu_ns - idle.cpu_ns) / job.steps,
        }

    def _run(self, job: Job, watcher: psycopg.Connection[Any], variables: Mapping[str, object], cycles: int) -> _Spent:
        conninfo, environment = _without_password(job.database.conninfo)
        with tempfile.TemporaryDirectory(prefix="pgflow-stress-") as folder, on_cpus(job.cpus("worker")):
            script, log = Path(folder, "script.sql"), Path(folder, "log")
            script.write_text(cycle_script(self._mode, job.batch, PRIME_BATCHES, VT_SECONDS, job.output))
            command = [
                str(self._pgbench.path), "-n", "-M", "prepared", "-c", "1", "-j", "1",
                "-t", str(PRIME_BATCHES + cycles), "-f", str(script), "-l", f"--log-prefix={log}",
                *(part for name, value in variables.items() for part in ("-D", f"{name}={value}")), conninfo,
            ]  # fmt: skip
            cpu_ns = self._wait(job, watcher, command, environment)
            ends = list(_ends(Path(folder)))
        if len(ends) != PRIME_BATCHES + cycles:
            raise RunFailed(f"pgbench logged {len(ends)} of {PRIME_BATCHES + cycles} transactions")
        return _Spent(cpu_ns, (ends[-1] - ends[PRIME_BATCHES - 1]) * NS_PER_US)

    def _wait(
        self, job: Job, watcher: psycopg.Connection[Any], command: list[str], environment: Mapping[str, str]
    ) -> float:
        deadline = time.monotonic() + job.options.timeout_seconds
        cpus = job.cpus("postgres")
        with tempfile.TemporaryFile() as output:
            # A session of its own: a Ctrl-C of the terminal is ours to pass on.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True,
            )  # fmt: skip
            try:
                pinned = not cpus
                while True:
                    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                    if pid:
                        process.returncode = os.waitstatus_to_exitcode(status)
                        break
                    if time.monotonic() > deadline:
                        raise RunFailed(f"pgbench took over {job.options.timeout_seconds:g} s: raise --timeout")
                    pinned = pinned or _pinned(watcher, cpus)
                    time.sleep(_LOOK_SECONDS)
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
            output.seek(0)
            said = output.read().decode(errors="replace")
        if process.returncode != 0 or "ERROR" in said:
            lines = [line for line in said.splitlines() if "error" in line.lower() or "FATAL" in line]
            raise RunFailed(f"pgbench ended with {process.returncode}: {lines[0] if lines else 'no word of why'}")
        return (usage.ru_utime + usage.ru_stime) * NS_PER_SECOND


def _pinned(watcher: psycopg.Connection[Any], cpus: tuple[int, ...]) -> bool:
    """Whether the backend that sleeps at the script's beginning was seen, and pinned: not the one that looks round."""
    query = f"{_BACKENDS} and wait_event = 'PgSleep'"
    for (backend,) in watcher.execute(query.encode(), (_APPLICATION_NAME,)).fetchall():
        pin_backend(backend, cpus)
        return True
    return False


def _without_password(conninfo: str) -> tuple[str, dict[str, str]]:
    """The conninfo for a command line, which whoever may call ps reads, and the environment that has the rest."""
    parameters = conninfo_to_dict(conninfo)
    password = parameters.pop("password", None)
    environment = {**os.environ, "PGAPPNAME": _APPLICATION_NAME}
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return make_conninfo("", **parameters), environment


def _ends(folder: Path) -> Iterator[int]:
    """When each transaction ended, in us, from pgbench's log: client, number, latency, script, epoch, us."""
    for path in folder.glob("log.*"):
        for line in path.read_text().splitlines():
            parts = line.split()
            yield int(parts[4]) * 1_000_000 + int(parts[5])


def rival(options: RunOptions, wants_tls: bool) -> Pgbench:
    """The pgbench that is here.

    Raises:
        SetUpFault: there is none, or it is too old for the mode.
        UsageFault: outputs that do not fit onto its command line.
    """
    mode = options.completion
    if options.completion_batch_size * (options.payload_bytes + _AROUND_BYTES) > _MOST_ARGUMENT_BYTES:
        raise UsageFault("pgbench takes outputs on its command line: give a smaller --payload or batch")
    found = find_pgbench(wants_tls)
    if found is None:
        raise SetUpFault("there is no pgbench here: install it (apt install postgresql-contrib, or put it on PATH)")
    if found.major < _LEAST_MAJOR.get(mode, 0):
        raise SetUpFault(
            f"pgbench {found.version} sends no {mode}: give --completion batch or single, or install pgbench "
            f"{_LEAST_MAJOR[mode]}"
        )
    return Pgbench(found, mode)
