"""What can be seen of a postmaster from outside: its pid file, its process, its log. Starts and signals it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.units import BYTES_PER_MIB
from pgflow_stress.target.pginstall import ServerUser

_PID_LINE, _STATUS_LINE = 0, 7
_NOT_IN_ORDER = b"database system was not properly shut down"
NO_WORD = "it left no word in its log"
_POLL_SECONDS = 0.002
_ORPHANS_PATIENCE_SECONDS = 10.0
_LOG_LIMIT_BYTES = 4 * BYTES_PER_MIB
# The server gets none of the caller's variables: PGOPTIONS, PGDATA or a locale of his would change what is measured.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A running postmaster of one data directory."""

    pid: int
    status: str  # starting, ready, stopping, standby; empty while the file is incomplete


def find_postmaster(data: Path) -> Postmaster | None:
    """The live postmaster of a data directory; None where there is none or the pid now belongs to someone else."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid = int(lines[_PID_LINE])
    except (OSError, ValueError, IndexError):
        return None
    if pid <= 0 or not _is_postmaster_of(pid, data):
        return None
    return Postmaster(pid, lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else "")


def _is_postmaster_of(pid: int, data: Path) -> bool:
    """A postmaster works in its data directory: that tells it from a process that got the pid of a dead one."""
    try:
        return alive(pid) and (Path("/proc") / str(pid) / "cwd").readlink() == data.resolve()
    except OSError:
        return False


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        text = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in {"Z", "X"}


def remove_false_pid_files(data: Path, socket_folder: Path) -> None:
    """Unlink pid files that PostgreSQL would refuse to start over though no postmaster lives.

    It takes any process of that pid for the postmaster, be it a stranger that got the pid later, or the zombie of the
    dead one where init (in a container) reaps nobody. What it looks for with that file, orphaned backends that still
    use the shared memory, is waited for here. The file of a pid that is gone is left to it.
    """
    for path in (data / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(path.read_text().splitlines()[_PID_LINE])
            reap(pid)
            if (Path("/proc") / str(pid)).exists() and not _is_postmaster_of(pid, data):
                _wait_for_orphans(data)
                path.unlink()


def _wait_for_orphans(data: Path) -> None:
    """Backends end by themselves when their postmaster is dead; each works in the data directory."""
    deadline = time.monotonic() + _ORPHANS_PATIENCE_SECONDS
    while any(_is_postmaster_of(int(entry.name), data) for entry in Path("/proc").glob("[0-9]*")):
        if time.monotonic() > deadline:
            raise SetUpFault(f"processes of a killed embedded server still use {data.parent.parent.name}: end them")
        time.sleep(_POLL_SECONDS)


def start(postgres: Path, data: Path, log: Path, options: Sequence[str], user: ServerUser | None) -> int:
    """Start a server and return its pid at once, not waiting until it is ready.

    A session of its own keeps the terminal's signals from it; it gets none of our descriptors and outlives us.

    Raises:
        SetUpFault: the operating system refused.
    """
    try:
        with contextlib.suppress(OSError):
            if log.stat().st_size > _LOG_LIMIT_BYTES:
                log.unlink()
        with log.open("ab") as log_file:
            server = subprocess.Popen(
                [str(postgres), "-D", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
                umask=0o077,
                **_as_user(user),
            )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SetUpFault(f"the embedded server could not be started: {error}") from error
    # It is known by its pid file from here on, to us as to everybody else: without this, Popen warns of a child that
    # lives longer than the object. While it is a child of ours, reap() collects it.
    server.returncode = 0
    return server.pid


def reap(pid: int) -> None:
    """Collect an ended server if we started it, so that it is no zombie; otherwise init does."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def wait_until_ready(data: Path, pid: int, timeout_seconds: float) -> bool:
    """Wait for the server to accept connections; False where it ended instead.

    Raises:
        SetUpFault: neither happened in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        found = find_postmaster(data)
        if found is not None and found.pid == pid and found.status == "ready":
            return True
        if not alive(pid):
            reap(pid)
            return False
        time.sleep(_POLL_SECONDS)
    raise SetUpFault(f"the embedded server was not ready within {timeout_seconds:.0f} s")


def wait_until_gone(pid: int, timeout_seconds: float) -> bool:
    """Wait for a process to end; False where it still lives after the time."""
    deadline = time.monotonic() + timeout_seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    reap(pid)
    return True


def stop(data: Path, timeout_seconds: float = 30) -> None:
    """Stop the server of a data directory: fast, then immediately, then by force. Nothing to do where none runs."""
    for number, patience_seconds in (
        (signal.SIGINT, timeout_seconds),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 5.0),
    ):
        found = find_postmaster(data)
        if found is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, number)
        if wait_until_gone(found.pid, patience_seconds):
            return


def shut_down(data: Path, *, immediate: bool, seconds: float) -> bool:
    """End the server of a data directory, in order or as by a crash; whether there was one and it is gone."""
    found = find_postmaster(data)
    if found is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGQUIT if immediate else signal.SIGINT)
    return wait_until_gone(found.pid, seconds)


def recovered(log: Path, from_bytes: int) -> bool:
    """Whether a server that started says that it had not been shut down in order; since `from_bytes` of its log."""
    try:
        with log.open("rb") as handle:
            handle.seek(from_bytes)
            return any(_NOT_IN_ORDER in line for line in handle)
    except OSError:
        return False


def ask_to_stop(data: Path) -> bool:
    """Send the fast shutdown and don't wait; whether there was a server to send it to."""
    found = find_postmaster(data)
    if found is None:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(found.pid, signal.SIGINT)
    return True


def log_size_bytes(log: Path) -> int:
    """Where the log ends now; 0 where there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def complaint(log: Path, from_bytes: int) -> str:
    """The server's reason for not starting: its FATAL line, else its last; told since `from_bytes` of the log."""
    try:
        with log.open("rb") as handle:
            handle.seek(from_bytes)
            lines = handle.read().decode(errors="replace").splitlines()
    except OSError:
        return "no log"
    texts = [line.partition("] ")[2] or line for line in lines]
    for severity in ("FATAL:", "PANIC:", "ERROR:"):
        for text in texts:
            if text.startswith(severity) or f" {severity}" in text:
                return text.partition(severity)[2].strip()
    return texts[-1].strip() if texts else NO_WORD


def run_initdb(initdb: Path, data: Path, user: ServerUser | None) -> None:
    """Make a data directory: UTF-8, C locale, trust on a socket that only its owner can reach, checksums.

    Raises:
        SetUpFault: it failed; quotes its complaint.
    """
    # One syncfs instead of a thousand fsyncs: seconds on a busy disk, and as durable.
    arguments = [
        "--sync-method=syncfs",
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-instructions",
        "-D",
        str(data),
    ]
    try:
        done = subprocess.run(
            [str(initdb), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            **_as_user(user),
        )
    except OSError as error:
        raise SetUpFault(f"the embedded server's initdb could not be run: {error}") from error
    if done.returncode:
        lines = done.stderr.splitlines() or ["no word of why"]
        telling = [line for line in lines if "error" in line.lower()] or lines
        raise SetUpFault(f"the embedded server's data directory could not be made: {telling[0]}")


def _as_user(user: ServerUser | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
