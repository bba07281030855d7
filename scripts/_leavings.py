"""What a run could leave on this machine and on a server: looked at before and after."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import psycopg  # noqa: E402

_COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main")
_GIVEN = "given"
_PATIENCE_SECONDS = 5.0  # what is just ending
_SHARED_MEMORY = Path("/dev/shm")
_OF_SERVER = """
select 'database', datname from pg_database where datname !~ '^pgflow_stress_template_'
union all select 'role', rolname from pg_roles
union all select 'slot', slot_name from pg_replication_slots
"""
_OF_DATABASE = """
select 'publication', pubname from pg_publication
union all select 'trigger', tgname || ' on ' || tgrelid::regclass from pg_trigger where not tgisinternal
union all select 'relation', c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where nspname !~ '^pg_' and nspname <> 'information_schema' and nspname <> 'realtime'
union all select 'function', p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
union all select 'schema', nspname from pg_namespace where nspname !~ '^pg_'
union all select 'rows of pgflow.' || t, n::text from (
    select 'flows' as t, count(*) as n from pgflow.flows union all select 'steps', count(*) from pgflow.steps
    union all select 'deps', count(*) from pgflow.deps union all select 'runs', count(*) from pgflow.runs
    union all select 'step_states', count(*) from pgflow.step_states
    union all select 'step_tasks', count(*) from pgflow.step_tasks
    union all select 'workers', count(*) from pgflow.workers
    union all select 'messages', count(*) from realtime.messages) counted
"""


def end_in_order() -> None:
    """Have a SIGTERM, of `timeout` for instance, end the script through its own clean-up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def processes_of(session: int) -> list[tuple[int, str]]:
    """(pid, title) of the tool's processes in a session of the kernel's."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            title = (process.info["cmdline"] or [""])[0]
            living = process.info["status"] != psutil.STATUS_ZOMBIE
            if living and title.startswith("pgflow-stress:") and os.getsid(process.pid) == session:
                found.append((process.pid, title))
    return found


def servers_of(state: Path) -> list[psutil.Process]:
    """Postmasters of a state directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or [""]
        living = process.info["status"] != psutil.STATUS_ZOMBIE
        if living and command[0].endswith("/postgres") and any(part.startswith(str(state)) for part in command[1:]):
            found.append(process)
    return found


def _call(state: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*_COMMAND, *arguments], env={**os.environ, "PGFLOW_STRESS_STATE": str(state)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


class Server:
    """An embedded server that is kept, with a database of the user's on it that has pgflow."""

    def __init__(self, state: Path) -> None:
        """Boot it."""
        self._state = state
        self._conninfo = ""
        _call(state, "db", "up")
        found = json.loads(_call(state, "db", "status", "--json", "-"))["instances"]
        self._conninfo = next(str(one["conninfo"]) for one in found if one["running"])
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as server:
            server.execute(f"create database {_GIVEN}")
        _call(state, "db", "install", "--dsn", self.conninfo(_GIVEN))

    def conninfo(self, database: str) -> str:
        """Of one of its databases."""
        return psycopg.conninfo.make_conninfo(self._conninfo, dbname=database)

    def holds(self) -> set[str]:
        """Everything on it, a line each."""
        return _asked(self.conninfo("postgres"), _OF_SERVER) | _asked(self.conninfo(_GIVEN), _OF_DATABASE)

    def down(self) -> None:
        """Stop it."""
        _call(self._state, "db", "down")


def _asked(conninfo: str, query: str) -> set[str]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return {f"{kind} {name}" for kind, name in connection.execute(query).fetchall()}


@dataclass(frozen=True)
class Look:
    """What there was."""

    segments: frozenset[str]
    system_v: frozenset[str]
    given: frozenset[str]


class Surroundings:
    """Folders of a run's own, and what may not be left in them and elsewhere."""

    def __init__(self, folder: Path) -> None:
        """Make them."""
        self._folder = folder
        for name in ("cwd", "tmp", "state"):
            self.folder(name).mkdir(mode=0o755)
        self.folder("tmp").chmod(0o777)

    def folder(self, name: str) -> Path:
        """One of them."""
        return self._folder / name

    @property
    def state(self) -> Path:
        """The state directory of the runs."""
        return self.folder("state")

    @property
    def environment(self) -> dict[str, str]:
        """Of a run."""
        return {**os.environ, "PGFLOW_STRESS_STATE": str(self.state), "TMPDIR": str(self.folder("tmp"))}

    def look(self, given: Server) -> Look:
        """At the beginning."""
        return Look(_segments(), _system_v(), frozenset(given.holds()))

    def left(self, before: Look, given: Server) -> list[str]:
        """What is left since then, a line each; waits for what is just ending."""
        found = sorted(f"left on the given server: {line}" for line in given.holds() - before.given)
        found += sorted(f"gone from the given server: {line}" for line in before.given - given.holds())
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (here := self._here(before)) and time.monotonic() < deadline:
            time.sleep(0.1)
        found += here
        return found + self._on_the_embedded_server()

    def _here(self, before: Look) -> list[str]:
        found = [f"server {process.pid}" for process in servers_of(self.state)]
        found += [f"shared memory {name}" for name in _unused(_segments() - before.segments)]
        found += [f"System V segment {name}" for name in _unattached(_system_v() - before.system_v)]
        for name in ("cwd", "tmp"):
            found += [f"file {path}" for path in self.folder(name).rglob("*")]
        for instance in self.state.glob("instances/*"):
            found += [f"file {path}" for path in (*instance.glob("leases/*"), *instance.glob("server/data.new*"))]
            run = instance / "server" / "run"
            found += [f"socket {path}" for path in (run.iterdir() if run.is_dir() else ())]
        return found

    def _on_the_embedded_server(self) -> list[str]:
        _call(self.state, "db", "up")
        try:
            servers = json.loads(_call(self.state, "db", "status", "--json", "-"))["instances"]
            held = {line for one in servers if one["running"] for line in _asked(str(one["conninfo"]), _OF_SERVER)}
        finally:
            _call(self.state, "db", "down")
        ours = {"database postgres", "database template0", "database template1", "role postgres"}
        return sorted(f"left: {line}" for line in held - ours if not line.startswith("role pg_"))


def _segments() -> frozenset[str]:
    return frozenset(path.name for path in _SHARED_MEMORY.glob("PostgreSQL.*"))


def _unused(names: frozenset[str]) -> list[str]:
    """Of those that are new, whoever made them: segments that nobody has mapped."""
    mapped = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            text = maps.read_text()
            mapped |= {name for name in names if name in text}
    return sorted(name for name in names - mapped if (_SHARED_MEMORY / name).exists())


def _system_v() -> frozenset[str]:
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return frozenset(line.split()[1] for line in lines)


def _unattached(ids: frozenset[str]) -> list[str]:
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    attached = {line.split()[1]: int(line.split()[6]) for line in lines}
    return sorted(one for one in ids if attached.get(one) == 0)
