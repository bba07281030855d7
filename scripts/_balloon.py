"""The tool with one worker that holds much memory for a moment: what no reading at an interval need see."""

from __future__ import annotations

import sys
from pathlib import Path

_BALLOON = """
import sys, threading, time
from pathlib import Path
from pgflow_stress.engine import process
from pgflow_stress.cli.main import main

NOW, BYTES, SECONDS = Path({now!r}), {size}, {seconds}
title = process.title

def swell():
    while not NOW.exists():
        time.sleep(0.005)
    time.sleep(0.3)
    balloon = b"x" * BYTES
    time.sleep(SECONDS)
    del balloon

def titled(name):
    title(name)
    if name == "worker 0":
        threading.Thread(target=swell, daemon=True).start()

process.title = titled
sys.argv[0] = "pgflow-stress"
main()
"""


def balloon_command(now: Path, size_bytes: int, seconds: float) -> list[str]:
    """The tool with a worker 0 that holds so much more for a moment, once the file `now` is there."""
    return [sys.executable, "-c", _BALLOON.format(now=str(now), size=size_bytes, seconds=seconds)]
