from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from pgflow_stress.cli.room import LEAST_DATA_BYTES

COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main", "scenarios", "list")


@pytest.mark.parametrize(("mib", "code"), [(96, 1), (LEAST_DATA_BYTES >> 20, 0)])
def test_a_data_segment_that_the_numeric_libraries_hang_on_is_refused(mib: int, code: int) -> None:
    ended = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (mib << 20, mib << 20)),
    )

    assert ended.returncode == code
    refusal = (
        f"pgflow-stress: the data segment of a process is limited to {mib} MiB (ulimit -d):"
        f" at least {LEAST_DATA_BYTES >> 20} MiB are needed\n"
    )
    assert (ended.stderr == refusal) == bool(code)
