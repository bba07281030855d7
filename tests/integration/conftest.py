"""An embedded server made once a session, of which tests get copies of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.target.helpers import made_once, opened, state_directory


@pytest.fixture(scope="session")
def prototype() -> Path:
    """A state directory whose server is down, with its template."""

    def make(folder: Path) -> None:
        with state_directory() as state:
            with opened():
                pass
            state.rename(folder)

    return made_once("prototype", make)
