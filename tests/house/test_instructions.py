"""Instruction counts of the hot path against their baseline: what no noise of the machine can excuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed: nothing can be counted")
def test_the_hot_path_takes_no_more_instructions_than_its_baseline() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/benchmarks/bench_instructions.py"], capture_output=True, text=True, check=False
    )

    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
