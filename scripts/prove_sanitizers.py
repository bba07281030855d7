"""The extension under AddressSanitizer and UndefinedBehaviorSanitizer: its tests, and runs that drive it, clean.

Both builds lie in build/, beside what is installed. The tests are those of ext/, the properties of its arithmetic, and
the integration tests in which workers, starters and observers drive it against the server. Prints a line a kind.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from _sanitized import ROOT, build

KINDS = ("address", "undefined")
UNITS = ("tests/unit/ext", "tests/property")
DRIVEN = (
    "tests/integration/engine/test_driver.py",
    "tests/integration/engine/test_modes.py",
    "tests/integration/engine/test_events.py",
    "tests/integration/engine/test_edge_wire.py",
    "tests/integration/engine/test_worker_models.py",
    "tests/integration/engine/test_load_models.py",
)


def prove(kind: str, tests: tuple[str, ...]) -> bool:
    """Build and test; whether it was clean."""
    began = time.monotonic()
    made = build(kind)
    built = time.monotonic() - began
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        "--timeout",
        "600",
        *tests,
    ]
    done = subprocess.run(command, cwd=ROOT, env=made.environment, capture_output=True, text=True, check=False)
    said = made.reports()
    line = {
        "proof": "sanitizers", "kind": kind, "exit": done.returncode, "reports": len(said), "what": said[:5],
        "tests": (done.stdout.strip().splitlines() or [""])[-1],
        "build_seconds": round(built), "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    print(json.dumps(line), flush=True)
    if done.returncode or said:
        print(done.stdout[-3000:], done.stderr[-2000:], file=sys.stderr)
    return not done.returncode and not said


def main() -> int:
    """0 where both were clean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND", help="address, undefined")
    parser.add_argument("--units", action="store_true", help="without the integration tests")
    parser.add_argument("--tests", action="append", help="these instead; may be repeated")
    asked = parser.parse_args()
    if unknown := set(asked.kinds) - {*KINDS}:
        parser.error(f"no such kind: {', '.join(unknown)}")
    tests = tuple(asked.tests or (UNITS if asked.units else UNITS + DRIVEN))
    clean = [prove(kind, tests) for kind in asked.kinds]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
