"""Runs before any test module imports psycopg or the extension: they bind to the libpq that is loaded then.

A machine may have no libpq of its own, and a run against the embedded server does not use it where there is one.
"""

from __future__ import annotations

import locale
import os
import shutil
import signal
from typing import Any

import pytest

from pgflow_stress.core.libpq import choose
from tests.fixtures.leftovers import Before, left_behind, look, session_folder

choose(embedded=True, wants_tls=False)
# What is shown depends on the locale, what the tests expect does not.
locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
# A job in the background starts with it ignored, and so would every test that raises it.
signal.signal(signal.SIGINT, signal.default_int_handler)

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_BEFORE = pytest.StashKey[Before]()
_LEFT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Servers of this process alone, until a test asks for a state directory of its own."""
    os.environ["PGFLOW_STRESS_STATE"] = str(session_folder() / (_WORKER or "alone"))
    config.stash[_BEFORE] = look()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a server stays together in one process: a file of integration tests, where it says nothing else."""
    for item in items:
        if "integration" in item.path.parts and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Whatever a test left behind fails the session."""
    if _WORKER:
        return
    left = left_behind(session.config.stash[_BEFORE])
    session.config.stash[_LEFT] = left
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    shutil.rmtree(session_folder(), ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name what was left behind."""
    for line in config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"left behind by the tests: {line}", red=True)
