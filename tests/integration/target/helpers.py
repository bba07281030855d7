"""What the target's tests share: a state directory that root's server can enter, tools in processes of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import pgflow_stress
from pgflow_stress.core.libpq import choose
from pgflow_stress.target import postmaster
from pgflow_stress.target.base import Target, TargetOptions
from pgflow_stress.target.locking import held
from pgflow_stress.target.opening import open_target
from pgflow_stress.target.pginstall import server_user, usable_tree
from pgflow_stress.target.server_life import Instance, instances
from tests.fixtures.leftovers import session_folder

ROOT = Path(pgflow_stress.__file__).parents[1]
LATER_PGFLOW = ROOT.parent / "shared" / "pgflow-0.14.1"
needs_later_pgflow = pytest.mark.skipif(
    not LATER_PGFLOW.is_dir(), reason="needs pgflow 0.14.1's migrations beside this checkout, ../shared/pgflow-0.14.1"
)

_TOOL = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.opening import open_target
dsn, isolation = (sys.argv + ["", ""])[1:3]
options = TargetOptions(dsn=dsn or None, dsn_typed=True, isolation=isolation or None)
with open_target(options, lambda line: None, {}) as target:
    database = target.acquire(new_nonce())
    print(database.name, database.slug_prefix, database.conninfo, sep="\\t", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def state_directory(name: str = "state", prototype: Path | None = None) -> Iterator[Path]:
    """A state directory that others may pass, as the server's system user must; its servers end with it.

    With a prototype it starts as a copy of that one: initdb and a template take seconds.
    """
    outer = Path(tempfile.mkdtemp(prefix="s", dir=session_folder()))
    outer.chmod(0o755)
    state = outer / name
    if prototype is not None:
        subprocess.run(["cp", "-a", str(prototype), str(state)], check=True)
    before = os.environ.get("PGFLOW_STRESS_STATE")
    os.environ["PGFLOW_STRESS_STATE"] = str(state)
    try:
        yield state
    finally:
        if before is None:
            del os.environ["PGFLOW_STRESS_STATE"]
        else:
            os.environ["PGFLOW_STRESS_STATE"] = before
        for instance in instances(state):
            postmaster.stop(instance.data)
            shutil.rmtree(instance.socket_folder, ignore_errors=True)
        shutil.rmtree(outer, ignore_errors=True)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the session's, made by whichever of its processes asks first."""
    folder = session_folder() / name
    with held(folder.with_suffix(".lock")):
        if not folder.exists():
            make(folder)
    return folder


def quiet(_line: str) -> None:
    """Nobody listens."""


@contextmanager
def opened(**options: Any) -> Iterator[Target]:
    """An open target; nothing of the environment counts."""
    with open_target(TargetOptions(**options), quiet, {}) as target:
        yield target


@contextmanager
def given(dsn: str, said: list[str] | None = None, **options: Any) -> Iterator[Target]:
    """A given target whose dsn was typed."""
    say = quiet if said is None else said.append
    with open_target(TargetOptions(dsn=dsn, dsn_typed=True, **options), say, {}) as target:
        yield target


def rows(conninfo: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query on a connection of its own."""
    import psycopg  # noqa: PLC0415  after the libpq is chosen

    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(query.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def value(conninfo: str, query: str, *parameters: object) -> Any:
    """The one value of a query."""
    return rows(conninfo, query, *parameters)[0][0]


def databases(conninfo: str) -> list[str]:
    """Repetition databases on the server."""
    found = rows(conninfo, "SELECT datname FROM pg_database WHERE datname ~ '^pgflow_stress_[fs]' ORDER BY 1")
    return [name for (name,) in found]


class Tool:
    """A tool in a process of its own, holding one database until it is told to go on."""

    def __init__(self, dsn: str = "", isolation: str = "") -> None:
        """Start it; returns at once."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TOOL, dsn, isolation],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        )

    def ready(self) -> tuple[str, str, str]:
        """Wait for its database: name, slug prefix, conninfo."""
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line, self.process.communicate()[1]
        name, prefix, conninfo = line.split("\t")
        return name, prefix, conninfo

    def __enter__(self) -> Tool:
        """For a block at whose end it is dead in any case."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it where the test didn't."""
        self.kill()

    def finish(self) -> str:
        """Let it go on to its end; what it said on standard error."""
        error = self.process.communicate("\n", timeout=60)[1]
        assert self.process.returncode == 0, error
        return error

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def interrupt(self) -> None:
        """SIGINT, and wait."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def only_instance(state: Path) -> Instance:
    """The one instance under a state directory."""
    found = instances(state)
    assert len(found) == 1
    return found[0]


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    user = server_user()
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def _empty_cluster(data: Path) -> None:
    _private(data)
    tree = usable_tree(data.parent, server_user())
    postmaster.run_initdb(tree / "bin" / "initdb", data, server_user())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def plain_server(wal_level: str = "logical", *, tcp: bool = False) -> Iterator[str]:
    """A server of nobody's, without pgmq's extension: the conninfo of its maintenance database.

    Args:
        tcp: on a port of the loopback as well, and the conninfo says that.
    """
    with state_directory() as folder:
        user = server_user()
        tree = usable_tree(folder, user)
        folder.mkdir()
        data, run = folder / "data", folder / "run"
        subprocess.run(["cp", "-a", str(made_once("plain", _empty_cluster)), str(data)], check=True)
        _private(run)
        options = ["-k", str(run), "-c", "fsync=off", "-c", f"wal_level={wal_level}"]
        port = _free_port() if tcp else 5432
        options += ["-p", str(port), "-c", f"listen_addresses={'127.0.0.1' if tcp else ''}"]
        pid = postmaster.start(tree / "bin" / "postgres", data, folder / "log", options, user)
        try:
            assert postmaster.wait_until_ready(data, pid, 60)
            choose(embedded=True, wants_tls=False)
            where = f"host=127.0.0.1 port={port}" if tcp else f"host={run}"
            yield f"{where} user=postgres dbname=postgres"
        finally:
            postmaster.stop(data)
