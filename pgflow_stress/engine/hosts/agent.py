"""What a Dask worker does for us: it starts a fresh process of this tool, tells it when to start, hands back its files.

A process that has threads must not fork, and a Dask worker has some: so the agent's own coordinator is executed anew. A
task holds no password: the tool finds it as ever, by PGPASSWORD or a password file of the host that it runs on.
Nothing but the standard library and Dask is imported here, as it stays loaded in that worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOOK, RUN = "look", "run"
_MODULE = "pgflow_stress.cli.agent"
_START_SECONDS = 300.0  # that all hosts may take to be ready
_ASK_SECONDS = 1.0
_END_SECONDS = 20.0  # for the drain, and then once more
_LEFT_OUT = (".html", ".hgrm")  # made again of what is merged
PARENT = "PGFLOW_STRESS_AGENT_PARENT"


@dataclass(frozen=True, slots=True)
class AgentOrder:
    """One repetition on one host."""

    host: str
    arguments: tuple[str, ...]  # of `run`
    place: int  # among the hosts
    topic: str  # names the queue, the variable and the event that it is led by


@dataclass(frozen=True, slots=True)
class AgentReport:
    """How it went: the code, what was said on standard error, the result's files by their path."""

    host: str
    code: int
    said: str
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


def about() -> dict[str, str]:
    """The tool that is installed here."""
    from pgflow_stress import __version__  # noqa: PLC0415  as it is on this host

    return {"version": __version__, "python": sys.version.split()[0], "machine": os.uname().nodename}


def be_deaf() -> None:
    """Leave Ctrl-C to whoever started this worker."""
    with contextlib.suppress(ValueError):  # not in the main thread: the signal is not answered here anyway
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def look(host: str, conninfo: str, allow_remote: bool) -> dict[str, Any]:
    """How this host's clock stands to the database's, and which database it reaches: {} of both, or why not."""
    arguments = [LOOK, host, conninfo, *(["--allow-remote"] if allow_remote else [])]
    with _process(arguments, subprocess.DEVNULL) as (process, said):
        out, _ = process.communicate(timeout=_START_SECONDS)
        if process.returncode:
            return {"code": process.returncode, "why": _read(said)}
    document: dict[str, Any] = json.loads(out)
    return document


def distributed() -> Any:
    """Dask's package, an extra: imported where it is used.

    Raises:
        ImportError: it is not installed.
    """
    import distributed as dask  # noqa: PLC0415

    return dask


def lines(dask: Any, topic: str, client: Any) -> tuple[Any, Any, Any]:
    """What leads one repetition: a queue of hosts that are ready, when to start, whether to stop."""
    return tuple(kind(topic, client=client) for kind in (dask.Queue, dask.Variable, dask.Event))


def run_agent(order: AgentOrder) -> AgentReport:
    """Run one repetition, led by the coordinator."""
    dask = distributed()
    client = dask.get_client()
    ready, start, stop = lines(dask, order.topic, client)
    # In the worker's own folder, which Dask removes when the worker itself could not.
    with tempfile.TemporaryDirectory(prefix="agent-", dir=dask.get_worker().local_directory) as folder:
        arguments = [RUN, *order.arguments, "--start-at", "-", "--output", f"{folder}/result", "--quiet"]
        with _process(arguments, subprocess.PIPE) as (process, said):
            assert process.stdin is not None and process.stdout is not None
            line = process.stdout.readline()
            if line:
                ready.put({**json.loads(line), "host": order.host})
                _lead(process, order.place, start, stop)
            process.stdin.close()
            code = process.wait()
            return AgentReport(order.host, code, _read(said), _files(Path(folder, "result")))


def _lead(process: subprocess.Popen[bytes], place: int, start: Any, stop: Any) -> None:
    """Hand the start on, then stand by until it has ended, or is to."""
    told, asked_seconds = False, 0.0
    while process.poll() is None:
        if not told:
            with contextlib.suppress(TimeoutError):
                told_all = start.get(timeout=_ASK_SECONDS)
                told = True
                document = {"start_at_ns": told_all["start_at_ns"], "delay_ns": told_all["delays_ns"][place]}
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write((json.dumps(document) + "\n").encode())  # type: ignore[union-attr]
                    process.stdin.flush()  # type: ignore[union-attr]
            asked_seconds += _ASK_SECONDS
            if not told and asked_seconds > _START_SECONDS:
                _end(process)
        # Whoever waits for the start must not miss it while it waits for something else.
        if _is_set(stop, _ASK_SECONDS if told else 0.0):
            _end(process)


def _is_set(stop: Any, within_seconds: float) -> bool:
    """Whether it is to end."""
    if not within_seconds:
        return bool(stop.is_set())
    try:
        return bool(stop.wait(timeout=within_seconds))
    except TimeoutError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, twice where once is not enough."""
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()


@contextlib.contextmanager
def _process(arguments: list[str], stdin: int) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """The tool in a session of its own: no terminal's signal reaches it but through us; ended with the block."""
    environment = {**os.environ, PARENT: str(os.getpid()), "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *arguments],
            stdin=stdin, stdout=subprocess.PIPE, stderr=said, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            yield process, said
        finally:
            if process.poll() is None:
                _end(process)
            if process.stdout is not None:
                process.stdout.close()


def _read(said: Any) -> str:
    said.seek(0)
    return str(said.read().decode(errors="replace"))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in _LEFT_OUT
    }
