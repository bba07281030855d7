"""Runs that are struck by faults, as a user types them, on a server that has no other user: it is restarted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.target.helpers import state_directory

Struck = Callable[..., dict[str, Any]]
# Slow enough that there is work at each strike, whatever machine this is.
SCENARIO = ("concurrent-flows", "--flows", 2, "--steps", 3)
LOAD = ("--workers", 2, "--repetitions", 1, "--warmup", 0)


@contextmanager
def striking(prototype: Path, folder: Callable[[], Path]) -> Iterator[Struck]:
    """`run SCENARIO LOAD ARGS`, which is to end with 0: its only repetition."""
    with state_directory(prototype=prototype) as state:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PGFLOW_STRESS_")}
        environment["PGFLOW_STRESS_STATE"] = str(state)

        def call(*arguments: object, scenario: bool = True) -> dict[str, Any]:
            arguments = (*(SCENARIO if scenario else ()), *LOAD, *arguments)
            path = folder() / "r.json"
            command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, arguments)]
            done = subprocess.run(
                [*command, "--json", str(path)],
                capture_output=True, text=True, env=environment, timeout=150, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            repetition: dict[str, Any] = json.loads(path.read_text())["repetitions"][0]
            return repetition

        yield call


def exact(repetition: dict[str, Any]) -> None:
    """Every task of every run is completed, none lost, none twice; the repetition counts."""
    tasks, client = repetition["tasks"], repetition["client"]
    assert tasks["completed"] == tasks["expected"] == 3 * client["schedule"]["started"]
    assert repetition["audit"]["ok"]
    assert not repetition["lost_worker"]


def proofs(repetition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The faults by name, each of which took hold."""
    faults = repetition["faults"]
    assert [fault["why"] for fault in faults if not fault["took_hold"]] == []
    return {fault["name"]: fault for fault in faults}
