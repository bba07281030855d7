"""Runs every command of docs/tutorial.md as it stands there, but small: what the page says must work, in its order.

Sizes are made small by options that are put behind the page's own, of which the last of a name counts. Exit codes that
a small size cannot help (5: not valid, 6: the threshold) are told and pass; all others fail.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
PROGRAM = "scripts/stress"
_SMALL = {
    "run": "--runs 20 --repetitions 2 --warmup 0 --telemetry off",
    "compare": "--runs 20 --repetitions 2 --warmup 0 --telemetry off",
    "sweep": "--repetitions 2 --warmup 0 --telemetry off",
    "find-max": "--budget 20s --duration 1s --probes 2 --start-rate 20 --max-rate 40",
}
_PASSES = (0, 5, 6)


def commands() -> list[list[str]]:
    """Every command of the page, in order, the program's name left out."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    parsed = [shlex.split(line) for line in lines]
    assert all(words[0] == PROGRAM for words in parsed)
    return [words[1:] for words in parsed]


def small(words: list[str]) -> list[str]:
    """The same command, done in seconds."""
    if words[0] == "compare" and "--interleave" not in words:
        return words
    more = _SMALL.get(words[0], "").split()
    if "--rate" in words:
        more = ["--duration", "2s", "--repetitions", "1", "--warmup", "0", "--telemetry", "off"]
    if words[0] == "sweep":
        words = [re.sub(r"^steps=.*", "steps=5,10,20", word) for word in words]
    return [*words, *more]


def main() -> None:
    """Run them in an empty folder; ends with 1 where one fails."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for words in commands():
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "pgflow_stress.cli.main", *small(words)],
                cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            held = done.returncode in _PASSES and "Traceback" not in done.stderr
            failed += not held
            told = f"{'ok' if held else 'FAILED'} ({done.returncode}, {time.monotonic() - began:.0f} s)"
            print(f"{told}: {PROGRAM} {shlex.join(words)}", flush=True)
            if not held:
                print(done.stderr[-2000:], file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
