"""An embedded server made once a session, of which every test gets a copy of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.target.helpers import opened, plain_server, state_directory


@pytest.fixture(scope="session")
def prototype() -> Iterator[Path]:
    with state_directory() as folder:
        with opened():
            pass
        copy = folder.with_name("prototype")
        folder.rename(copy)
        yield copy
        shutil.rmtree(copy, ignore_errors=True)


@pytest.fixture
def state(prototype: Path) -> Iterator[Path]:
    with state_directory(prototype=prototype) as folder:
        yield folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with plain_server() as conninfo:
        yield conninfo
