"""Runs under limits of descriptors, memory and file size: done, or refused in one clear line; nothing is left.

Each limit is tightened in steps, down to where not even Python starts: a run either succeeds with its audit, or ends
with 1, 2 or 3 and one line that says what is short. Prints a line of JSON a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from _leavings import Server, Surroundings, end_in_order, processes_of

COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main", "run")
RUN = ("concurrent-flows", "--flows", "2", "--runs", "20", "--steps", "5", "--workers", "2", "--events", "wal",
       "--repetitions", "1", "--warmup", "0")  # fmt: skip
MIB = 1 << 20
LIMITS = {
    "descriptors": (resource.RLIMIT_NOFILE, (256, 64, 48, 40, 36, 32, 28, 24, 22, 20, 18, 16, 14, 12, 10, 8)),
    "address space": (
        resource.RLIMIT_AS,
        tuple(mib * MIB for mib in (8192, 2048, 1024, 768, 640, 512, 448, 384, 320, 256, 192, 160, 128, 96)),
    ),
    "data": (resource.RLIMIT_DATA, tuple(mib * MIB for mib in (2048, 512, 384, 256, 192, 128, 96, 64, 48, 32))),
    "file size": (resource.RLIMIT_FSIZE, tuple(kib << 10 for kib in (65536, 8192, 1024, 256, 64, 16, 4, 1))),
}
CODES = frozenset({0, 1, 2, 3})
HANG_SECONDS = 120


def limited(kind: int, most: int) -> None:
    """In the child: the limit, hard as well, so that nobody raises it again."""
    resource.setrlimit(kind, (most, most))


def attempt(kind: int, most: int, around: Surroundings, output: Path) -> tuple[int | None, str, int]:
    """(code, what was said, session) of one run; None for a hang."""
    process = subprocess.Popen(
        [*COMMAND, *RUN, "--json", str(output), "--quiet"], env=around.environment, cwd=around.folder("cwd"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: limited(kind, most),  # noqa: PLW1509  no threads here
    )  # fmt: skip
    try:
        said = process.communicate(timeout=HANG_SECONDS)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, "", process.pid
    return process.returncode, said, process.pid


def wrong_with(code: int | None, said: str) -> list[str]:
    """What is wrong with how a run ended."""
    if code is None:
        return ["hang"]
    if code < 0 or ("pgflow" not in said and code not in CODES):
        return [f"killed by {-code}"] if code < 0 else []  # Python itself did not start
    found = [] if code in CODES else [f"exit {code}"]
    ours = "pgflow_stress" in said or "bug of ours" in said
    if ("Traceback" in said and ours) or "bug of ours" in said:
        found.append("a traceback")
    return found


def main() -> int:
    """1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", action="append", choices=list(LIMITS), help="only these")
    asked = parser.parse_args()
    end_in_order()
    folder = Path(tempfile.mkdtemp(prefix="pgs-limits-", dir="/tmp"))
    folder.chmod(0o755)  # the server's system user has to pass
    bad, given = 0, None
    try:
        around, given = Surroundings(folder), Server(folder / "given")
        for name in asked.limit or LIMITS:
            kind, steps = LIMITS[name]
            outcomes = []
            for most in steps:
                before = around.look(given)
                output = folder / "r.json"
                code, said, session = attempt(kind, most, around, output)
                wrong = wrong_with(code, said)
                wrong += [f"processes left: {left}" for left in [processes_of(session)] if left]
                wrong += around.left(before, given)
                last = (said.strip().splitlines() or [""])[-1]
                outcomes.append({"most": most, "exit": code, "said": last[-160:] if code else ""})
                if wrong:
                    bad += 1
                    print(json.dumps({"limit": name, "most": most, "exit": code, "wrong": wrong, "said": said[-400:]}))
            print(json.dumps({"proof": "limits", "limit": name, "outcomes": outcomes}), flush=True)
    finally:
        if given is not None:
            given.down()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"proof": "limits", "wrong": bad}))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
