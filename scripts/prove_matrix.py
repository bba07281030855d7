"""pgflow versions by PostgreSQL versions: every scenario and own flows, each event accounted for, the audit; exact.

Each PostgreSQL is a server of its own, driven as a given one: a clone of a template a run. Prints a line of JSON a run,
keeps them in .setup/matrix.jsonl, and with --write makes docs/matrix.md of all that are kept, so that a matrix can be
run in parts. A version that is nowhere to be had is said so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import psycopg  # noqa: E402
from _servers import SETUP, running  # noqa: E402
from prove_scenarios import FLOWS, OWN, SIZES, WITH_CONDITIONS, has_conditions, measure  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
KEPT = SETUP / "matrix.jsonl"
PAGE = ROOT / "docs" / "matrix.md"
POSTGRES = ("15", "16", "17", "18")
LATER = ROOT.parent / "shared" / "pgflow-0.14.1"
_MIDDLE = 1  # of a scenario's sizes
DAG = ("dag", "--dag", "a b:a c*4:a d:b,c;r*3 s:r", "--flows", "2", "--runs", "20")
DAG_TASKS = 10 * (7 + 4)


def runs(pgflow: str) -> Iterator[tuple[str, tuple[str, ...], int | None]]:
    """Name, arguments, tasks that there must be: each scenario, a DAG, each flow of the user's own."""
    for scenario, sizes in SIZES.items():
        typed, tasks = sizes[_MIDDLE]
        yield scenario, (scenario, *typed.split()), None if scenario == "mix" else tasks
    yield "dag", DAG, DAG_TASKS
    for files, sizes in OWN.items():
        if "," in files or (files == WITH_CONDITIONS and not has_conditions(pgflow)):
            continue
        typed, tasks = sizes[_MIDDLE]
        yield files, ("--flow", str(FLOWS / files), *typed.split()), tasks


def cell(postgres: str, pgflow: str) -> Iterator[dict[str, Any]]:
    """Every run of one pair of versions."""
    with running(postgres) as found:
        if found is None:
            yield {"postgres": postgres, "pgflow": _label(pgflow), "absent": True}
            return
        conninfo, source = found
        with psycopg.connect(conninfo) as connection:
            version = connection.execute("show server_version").fetchone()
        assert version is not None
        for name, arguments, tasks in runs(pgflow):
            done = measure(*arguments, "--pgflow", pgflow, "--dsn", conninfo, "--isolation", "clone")
            exact = tasks is None or done.get("tasks", {}).get("expected") == tasks
            yield {
                "postgres": postgres,
                "version": version[0].partition(" ")[0],
                "source": source,
                "pgflow": _label(pgflow),
                "run": name,
                **done,
                "held": done["held"] and exact,
            }


def _label(pgflow: str) -> str:
    return Path(pgflow).name.removeprefix("pgflow-")


def write(lines: Sequence[dict[str, Any]]) -> str:
    """The page, of the last line of each run."""
    last = {(one["postgres"], one["pgflow"], one.get("run")): one for one in lines if "run" in one}
    absent = {one["postgres"] for one in lines if one.get("absent")} - {postgres for postgres, *_ in last}
    cells = sorted({(postgres, pgflow) for postgres, pgflow, _ in last})
    parts = [
        "# pgflow by PostgreSQL",
        "",
        "Made by `scripts/prove matrix --write`. Each cell is a server of its own, every scenario and own flows on it,",
        "events by logical replication: *held* means that there were as many tasks as counted by hand, each done once,",
        "that every check of the audit held, and that each event was stored once and received once.",
        "",
        "| PostgreSQL | pgflow | runs held | tasks | events | checks of the audit |",
        "|---|---|---|---|---|---|",
    ]
    for postgres, pgflow in cells:
        of = [one for (p, f, _), one in last.items() if (p, f) == (postgres, pgflow)]
        held = sum(one["held"] for one in of)
        tasks = sum(sum(one.get("tasks", {}).get(k, 0) for k in ("completed", "failed", "abandoned")) for one in of)
        events, checks = (sum(one.get(name, 0) for one in of) for name in ("events", "checks"))
        source = {"system": "Debian's", "embedded": "embedded", "npm": "from npm"}[of[0]["source"]]
        parts.append(
            f"| {of[0]['version']} ({source}) | {pgflow} | {held} of {len(of)} | {tasks:,} | {events:,} | {checks:,} |"
        )
    failed = [one for one in last.values() if not one["held"]]
    parts += ["", f"Runs: {', '.join(sorted({run for *_, run in last}))}."]
    parts += [f"Did not hold: {one['run']} on PostgreSQL {one['version']}, pgflow {one['pgflow']}." for one in failed]
    if absent:
        parts += ["", f"PostgreSQL {', '.join(sorted(absent))}: no programs to be had here."]
    return "\n".join(parts) + "\n"


def main() -> int:
    """Run the cells asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", default=",".join(POSTGRES), help="major versions")
    parser.add_argument("--pgflow", action="append", help="versions or directories; 0.8.1 and ../shared/pgflow-0.14.1")
    parser.add_argument("--write", action="store_true", help="make docs/matrix.md of all that is kept")
    parser.add_argument("--forget", action="store_true", help="what was kept before")
    given = parser.parse_args()
    pgflows = given.pgflow or ["0.8.1", *([str(LATER)] if LATER.is_dir() else [])]
    if given.forget:
        KEPT.unlink(missing_ok=True)
    held = True
    with KEPT.open("a", encoding="utf-8") as kept:
        for postgres in filter(None, given.postgres.split(",")):
            for pgflow in pgflows:
                for found in cell(postgres, pgflow):
                    held = held and bool(found.get("held", True))
                    print(json.dumps(found), flush=True)
                    print(json.dumps(found), file=kept, flush=True)
    if given.write:
        PAGE.write_text(write([json.loads(line) for line in KEPT.read_text().splitlines()]), encoding="utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
