"""`audit --self-test` whole: every mutant caught, no alarm without one, in time. Prints a line of JSON a version."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

MOST_SECONDS = 45.0  # on 2 cores, alone
DEFAULT = "0.8.1"


def prove(pgflow: str) -> bool:
    """Run it on one version; whether it held."""
    command = [
        sys.executable,
        "-m",
        "pgflow_stress.cli.main",
        "audit",
        "--self-test",
        "--pgflow",
        pgflow,
        "--json",
        "-",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False)
    found = json.loads(done.stdout) if done.stdout else {"ok": False, "seconds": 0.0, "caught": 0, "of": 0}
    held = done.returncode == 0 and found["ok"] and found["seconds"] <= MOST_SECONDS
    line = {name: found[name] for name in ("caught", "of", "seconds")}
    label = found.get("pgflow", {}).get("label", pgflow)
    print(
        json.dumps({"proof": "self-test", "pgflow": label, "exit": done.returncode, **line, "held": held}), flush=True
    )
    return bool(held)


def main() -> int:
    """0 where it held on every version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pgflow", nargs="*", help="directories of migrations, beside 0.8.1")
    held = [prove(version) for version in (DEFAULT, *parser.parse_args().pgflow)]  # each of them, whatever came before
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
