"""The linters are tests, so that one command tells whether a change is whole. Their settings are in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--quiet", "."],
        ["ruff", "format", "--check", "--quiet", "."],
        ["mypy"],
        ["cython-lint", "ext/pgflow_stress_hot"],
    ],
    ids=" ".join,
)
def test_a_linter_has_nothing_to_say(command: list[str]) -> None:
    ours = Path(sys.executable).parent  # cython-lint calls a tool of its own by name
    path = f"{ours}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    done = subprocess.run(
        [ours / command[0], *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
