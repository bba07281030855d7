"""The check at a session's end sees what it is for, and only what is this session's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.leftovers import Before, left_behind, look, session_folder

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
PATIENCE_SECONDS = 0.2


@pytest.fixture
def before() -> Before:
    return look()


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_a_server_of_this_session_and_a_tool_are_seen_and_others_are_not(
    before: Before, started: list[subprocess.Popen[bytes]]
) -> None:
    commands = {"server": str(session_folder() / "s1"), "tool": "pgflow-stress: worker 0", "other": "/tmp/pst-other/s1"}
    pids = {}
    for name, argument in commands.items():
        started.append(subprocess.Popen([*SLEEPS, argument], start_new_session=name != "tool"))
        pids[name] = str(started[-1].pid)

    left = left_behind(before, PATIENCE_SECONDS)

    assert {name for name, pid in pids.items() if any(line.split()[1] == f"{pid}:" for line in left)} == {
        "server",
        "tool",
    }


def test_what_was_there_before_is_not_ours(before: Before, started: list[subprocess.Popen[bytes]]) -> None:
    started.append(subprocess.Popen([*SLEEPS, str(session_folder())], start_new_session=True))
    later = replace(before, began=before.began + 3600)

    assert not [line for line in left_behind(later, PATIENCE_SECONDS) if str(started[0].pid) in line]


def test_shared_memory_that_nobody_uses_is_seen(before: Before) -> None:
    segment = Path("/dev/shm") / f"PostgreSQL.{session_folder().name}"
    segment.touch()
    try:
        assert f"shared memory {segment}" in left_behind(before, PATIENCE_SECONDS)
    finally:
        segment.unlink()
