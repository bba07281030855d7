"""`compare --against` each rival as docs/performance.md quotes it, and its table there.

Each is one call of the tool, which anybody can type; the table is written between its two marks. With --table FILE…
only the table is made, from documents that --json wrote.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgflow_stress.analysis.against import Figure
from pgflow_stress.report.against import ratio_words

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- against: made by scripts/bench against -->", "<!-- against: end -->"
_HUNDREDS = ("--poll-size", "100", "--completion-batch-size", "100", "--steps", "5000")
CALLS = (
    ("server", _HUNDREDS),
    ("pgbench", _HUNDREDS),
    ("pgbench", (*_HUNDREDS, "--completion", "pipeline")),
    ("pgbench", (*_HUNDREDS, "--completion", "single")),
    ("legacy", ("--steps", "1000")),
)


def measure(name: str, arguments: Sequence[str], pairs: int, folder: Path) -> Path:
    """One call; where its document is."""
    path = folder / f"against-{name}-{len(list(folder.glob('against-*')))}.json"
    command = [
        sys.executable, "-m", "pgflow_stress.cli.main", "compare", "--against", name, *arguments,
        "--repetitions", str(pairs), "--json", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def row(document: Any, name: str, figure: Any) -> str:
    """A line of the table."""
    options = document["scenario"]["parameters"]
    size = f"{document['tasks']['expected']:,} tasks, {options['completion']}"
    sides = (tuple(figure[side]["values"]) for side in ("ours", "theirs"))
    words = ratio_words(Figure(name, *sides, figure["ratio"], tuple(figure["ci95"] or ()) or None, figure["reason"]))
    return f"| {document['against']['name']} | {name} | {size} | {words} | {figure['pairs']} |"


def table(documents: Sequence[Any]) -> str:
    """All of them."""
    lines = ["| against | metric | each side | ours ÷ theirs [95 %] | pairs |", "|---|---|---|---|---|"]
    lines += [row(one, name, figure) for one in documents for name, figure in one["figures"].items()]
    return "\n".join(lines)


def put(text: str, made: str) -> str:
    """The document with the table in place of what is between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main() -> None:
    """Measure, unless documents are given, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "against", help="where the documents go")
    parser.add_argument("--pin", default="worker=0,postgres=1")
    parser.add_argument("--table", nargs="+", type=Path, help="documents that are there already")
    given = parser.parse_args()
    paths = given.table
    if not paths:
        given.folder.mkdir(parents=True, exist_ok=True)
        pin = ("--pin", given.pin) if given.pin else ()
        paths = [measure(name, (*arguments, *pin), given.pairs, given.folder) for name, arguments in CALLS]
    made = table([json.loads(path.read_text()) for path in paths])
    DOCUMENT.write_text(put(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
