"""Instructions a recorded event, and a task of the cycle over a recorded byte stream, by valgrind's callgrind.

Counts repeat where times do not. They are held against docs/benchmarks/instructions.json, keyed by architecture,
compiler, Python and libpq: more than 3 % above the baseline ends with 1; a key without one is printed as *no baseline*.

    bench_instructions.py             compare
    bench_instructions.py --write     make what was counted the baseline of this key
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BASELINES = ROOT / "docs" / "benchmarks" / "instructions.json"
STREAM = ROOT / "tests" / "data" / "cycle.json"
EVENTS = 200_000
TOLERANCE = 0.03


def count(collect: str, *arguments: str) -> int:
    """Instructions inside the functions that match, over one call of instructions.py.

    Raises:
        RuntimeError: valgrind failed, or nothing matched.
    """
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", f"--toggle-collect={collect}",
             sys.executable, str(HERE / "instructions.py"), *arguments],
            capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
    found = max(map(int, re.findall(r"Collected : (\d+)", done.stderr)), default=0)  # the player of the stream has 0
    if done.returncode != 0 or not found:
        raise RuntimeError(f"callgrind: {done.stderr[-800:]}")
    return found


def key() -> str:
    """What the counts depend on."""
    compiler = subprocess.run(
        [(sysconfig.get_config_var("CC") or "cc").split()[0], "-dumpfullversion"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    libpq = subprocess.run(
        [sys.executable, "-c",
         "from pgflow_stress.core.libpq import choose; print(choose(embedded=True, wants_tls=False).version)"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    return f"{platform.machine()} cc-{compiler} python-{platform.python_version()} libpq-{libpq}"


def measure() -> dict[str, float]:
    """Both figures."""
    tasks = json.loads(STREAM.read_text())["steps"]
    return {
        "instructions_per_event": round(count("*record_events*", "events", str(EVENTS)) / EVENTS, 2),
        "instructions_per_task": round(count("*Cycle*run*", "cycle", str(STREAM)) / tasks, 1),
    }


def main() -> int:
    """Count, and compare or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: nothing counted (apt-get install valgrind)")
        return 0
    counted, known = measure(), json.loads(BASELINES.read_text()) if BASELINES.exists() else {}
    mine = key()
    if given.write:
        BASELINES.write_text(json.dumps({**known, mine: counted}, indent=1, sort_keys=True) + "\n")
    baseline = known.get(mine)
    print(f"{mine}: {json.dumps(counted)}")
    if baseline is None:
        print("no baseline")
        return 0
    worse = {name: value for name, value in counted.items() if value > baseline[name] * (1 + TOLERANCE)}
    for name, value in worse.items():
        print(f"{name}: {value} is more than {TOLERANCE:.0%} above the baseline of {baseline[name]}")
    return 1 if worse and not given.write else 0


if __name__ == "__main__":
    sys.exit(main())
