"""One embedded server for this folder's tests, and runs of the tool on it as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target.base import Database, Target
from tests.fixtures.typed import environment
from tests.integration.engine.striking import Struck, striking
from tests.integration.target.helpers import opened, state_directory

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def state(prototype: Path) -> Iterator[Path]:
    """A state directory of this module's own."""
    with state_directory(prototype=prototype) as path:
        yield path


@pytest.fixture(scope="module")
def target(state: Path) -> Iterator[Target]:
    """The embedded server, open for the whole module."""
    with opened() as target:
        yield target


@pytest.fixture
def database(target: Target) -> Iterator[Database]:
    """A prepared database; nothing is left in it."""
    made = target.acquire(new_nonce())
    yield made
    with psycopg.connect(made.conninfo) as connection:
        for table in ("flows", "steps", "runs", "step_tasks"):
            assert connection.execute(f"select count(*) from pgflow.{table}".encode()).fetchone() == (0,), table
        assert connection.execute("select count(*) from pgmq.meta").fetchone() == (0,)
    target.release(made)


@pytest.fixture(scope="module")
def run(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run ARGS --json …`: (exit code, the document or None, standard error)."""
    variables = environment()

    def call(*arguments: object) -> tuple[int, Any, str]:
        path = tmp_path_factory.mktemp("run") / "r.json"
        done = subprocess.run(
            [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments), "--json", str(path)],
            capture_output=True, text=True, env=variables, timeout=150, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        document = json.loads(path.read_text()) if path.exists() else None
        return done.returncode, document, done.stderr

    return call


@pytest.fixture(scope="module")
def struck(prototype: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """Runs that are struck, on a server of this module's own."""
    with striking(prototype, lambda: tmp_path_factory.mktemp("struck")) as call:
        yield call
