"""A copy of the prototype for every test, and a server of nobody's for a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.target.helpers import plain_server, state_directory


@pytest.fixture
def state(prototype: Path) -> Iterator[Path]:
    with state_directory(prototype=prototype) as folder:
        yield folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with plain_server() as conninfo:
        yield conninfo
