"""A signal while a fault lasts: what was measured is written, exit code 130, and nothing is left of tool or fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.target.helpers import state_directory

_RUN = (
    "run", "concurrent-flows", "--flows", "2", "--steps", "3", "--workers", "2", "--repetitions", "1", "--warmup", "0",
    "--rate", "60", "--duration", "60s", "--vt", "2", "--drain-timeout", "5s",
)  # fmt: skip
_MOST_SECONDS = 60


@pytest.fixture(scope="module")
def state(prototype: Path) -> Iterator[Path]:
    """A state directory whose server has no other user: it is stopped and started here."""
    with state_directory(prototype=prototype) as path:
        yield path


@pytest.mark.parametrize(
    ("fault", "signals"),
    [
        ("stop-worker@200ms:50s", (signal.SIGINT,)),
        ("stop-terminate-adopt@200ms:50s", (signal.SIGTERM,)),
        ("stall@200ms:50s", (signal.SIGINT,)),
        ("lock-run@200ms:50s", (signal.SIGTERM,)),
        ("restart-immediate@200ms", (signal.SIGTERM,)),
        ("stop-worker@200ms:50s", (signal.SIGINT, signal.SIGINT)),
        ("exhaust-connections@200ms:50s", (signal.SIGTERM, signal.SIGTERM)),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(one.name for one in value),
)
def test_a_signal_while_a_fault_lasts_ends_both(
    state: Path, tmp_path: Path, fault: str, signals: tuple[signal.Signals, ...]
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PGFLOW_STRESS_")}
    environment["PGFLOW_STRESS_STATE"] = str(state)
    path = tmp_path / "r.json"
    command = [sys.executable, "-m", "pgflow_stress.cli.main", *_RUN, "--fault", fault, "--json", str(path)]

    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        said = [next((line for line in process.stderr if "fault 1" in line), "it never struck")]
        for number in signals:
            process.send_signal(number)
        said += process.communicate(timeout=_MOST_SECONDS)[1].splitlines()

    repetition = json.loads(path.read_text())["repetitions"][-1]
    tasks = repetition["tasks"]
    assert process.returncode == 130, said
    assert repetition["interrupted"]
    left = tasks["unfinished"] + tasks["indeterminate"]
    assert tasks["expected"] == tasks["completed"] + left
    if len(signals) == 1:
        assert [check["name"] for check in repetition["audit"]["checks"] if not check["ok"]] == []
        assert repetition["faults"][0]["took_hold"], repetition["faults"][0]["why"]
    assert _left_of(process.pid, state) == []


def _left_of(session: int, state: Path) -> list[str]:
    left = [str(one) for one in state.rglob(".s.PGSQL.*")]
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            of_session = os.getsid(process.pid) == session
        except OSError:
            continue
        line = " ".join(process.info["cmdline"] or ())
        if (of_session or f"{state}/" in line) and process.info["status"] != psutil.STATUS_ZOMBIE:
            left.append(line)
    return left
