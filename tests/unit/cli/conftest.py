from __future__ import annotations

import os

import pytest

OLD_VARIABLES = (
    "STEP_COUNT",
    "CONCURRENT_FLOWS",
    "STEPS_PER_FLOW",
    "COMPLETION_BATCH_SIZE",
    "MAX_COMPLETION_TIME_MS",
    "DATABASE_URL",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables that the tool reads."""
    for name in os.environ:
        if name.startswith("PGFLOW_STRESS_") or name in OLD_VARIABLES:
            monkeypatch.delenv(name)
