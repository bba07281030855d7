"""Proofs of the statistics of `compare`, on real repetitions: how often is a difference found where there is none?

    record FILE    120 repetitions of one thing, measured once: their rates, a list a metric
    offline FILE   A/A: many random splits of the recorded repetitions into two sides, each judged by `compare`
    planted-wal        a planted rise of 1 % of WAL per task, one worker, in turns: found each time; A/A: never
    planted-slowdown   a planted slow-down of 10 % in complete_task: found in 18 of 20, inside the interval in 17
    live-aa            `compare --interleave` of one version against itself, twenty times: how often is it different?
    quiet              runs that nothing disturbs, ten times: which reasons against their validity appear?

`offline` splits in two ways: `pairs` (neighbours are a pair, a coin says which is the base: as an interleaved
measurement) and `halves` (any against any, as many on either side: as two results). Prints a line of JSON each; ends
with 1 where more than 5 % are better or worse, beyond the binomial interval, or more than 10 % cannot be told.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from pgflow_stress.analysis.compare import LEAST_REPETITIONS, compare_values
from pgflow_stress.analysis.comparison import Verdict
from pgflow_stress.analysis.series import autocorrelation

COMMAND = "run concurrent-flows --flows 8 --runs 16 --steps 10 --repetitions 120 --warmup 1"
RECORDED = ("execute.per_second", "process.per_second", "end_to_end.per_second", "server.wal_bytes_per_task")
DESIGNS = ("pairs", "halves")
MOST_FALSE, MOST_UNTOLD = 0.05, 0.10


def record(path: Path) -> int:
    """Measure once and keep the values of the counted repetitions; the code that the run ended with."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-m", "pgflow_stress.cli.main", *COMMAND.split(), "--json", str(result)]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if not result.exists():
            return ended.returncode
        summary = json.loads(result.read_text())["summary"]
    series = {name: summary[name]["values"] for name in RECORDED if name in summary}
    path.write_text(json.dumps({name: values for name, values in series.items() if None not in values}) + "\n")
    print(f"{path}: {', '.join(f'{len(values)} of {name}' for name, values in series.items())}", file=sys.stderr)
    return ended.returncode


def split(
    values: np.ndarray[Any, Any], design: str, side: int, generator: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Two sides of `side` repetitions each, balanced; the rest takes no part."""
    if design == "pairs":
        pairs = values[: len(values) // 2 * 2].reshape(-1, 2)
        chosen = pairs[np.sort(generator.choice(len(pairs), side, replace=False))]
        heads = generator.integers(0, 2, side)
        rows = np.arange(side)
        return chosen[rows, heads].tolist(), chosen[rows, 1 - heads].tolist()
    chosen = generator.choice(values, 2 * side, replace=False)
    return chosen[:side].tolist(), chosen[side:].tolist()


def offline(name: str, values: list[float], design: str, side: int, splits: int, seed: int) -> dict[str, Any]:
    """How the splits of one series were judged."""
    generator = np.random.default_rng(seed)
    series = np.asarray(values, dtype=np.float64)
    verdicts: Counter[Verdict] = Counter()
    for _ in range(splits):
        base, candidate = split(series, design, side, generator)
        verdicts[compare_values(name, base, candidate, paired=design == "pairs").verdict] += 1
    false, untold = verdicts[Verdict.BETTER] + verdicts[Verdict.WORSE], verdicts[Verdict.CANNOT_TELL]
    interval = stats.binomtest(false, splits).proportion_ci(0.95)
    return {
        "metric": name,
        "design": design,
        "repetitions": len(values),
        "side": side,
        "splits": splits,
        "lag_1": round(autocorrelation(series), 3) if len(series) >= 20 and np.ptp(series) else None,
        "false": false / splits,
        "false_ci95": [round(interval.low, 4), round(interval.high, 4)],
        "cannot_tell": untold / splits,
        "verdicts": {str(verdict): verdicts[verdict] for verdict in Verdict},
        "held": interval.low <= MOST_FALSE and untold / splits <= MOST_UNTOLD,
    }


def prove(path: Path, sides: list[int], splits: int, seed: int) -> int:
    """Every metric, design and size; 1 where one does not hold."""
    document = json.loads(path.read_text())
    held = True
    for name, values in document.items():
        most = len(values) // 2
        for design in DESIGNS:
            for side in sorted({min(side, most) for side in sides or [most]}):
                found = offline(name, values, design, side, splits, seed)
                held = held and found["held"]
                print(json.dumps(found), flush=True)
    return 0 if held else 1


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("record").add_argument("file", type=Path)
    aa = commands.add_parser("offline")
    aa.add_argument("file", type=Path)
    aa.add_argument("--splits", type=int, default=1_000)
    aa.add_argument(
        "--side", type=int, action="append", default=[],
        help=f"repetitions a side, {LEAST_REPETITIONS} or more; may be repeated [all: half the series]",
    )  # fmt: skip
    aa.add_argument("--seed", type=int, default=1)
    wal = commands.add_parser("planted-wal")
    wal.add_argument("--found", type=int, default=10, help="comparisons with the planted rise [10]")
    wal.add_argument("--same", type=int, default=20, help="comparisons of one thing with itself [20]")
    wal.add_argument("--pairs", type=int, default=6)
    slowdown = commands.add_parser("planted-slowdown")
    slowdown.add_argument("--times", type=int, default=20)
    slowdown.add_argument("--pilot", type=int, default=10, help="pairs of the pilot that says how many it takes [10]")
    slowdown.add_argument("--first-seed", type=int, default=1, help="to go on with what was begun [1]")
    slowdown.add_argument("--pairs", type=int, help="those of the pilot of what was begun")
    live = commands.add_parser("live-aa")
    live.add_argument("--times", type=int, default=20)
    live.add_argument("--pairs", type=int, default=10)
    quiet = commands.add_parser("quiet")
    quiet.add_argument("--times", type=int, default=10)
    quiet.add_argument("--seconds", type=float, default=3.0, help="least process phase that is asked for [3]")
    given = parser.parse_args()
    if given.command in ("live-aa", "quiet"):
        from _planted import prove_live_aa, prove_quiet

        if given.command == "live-aa":
            return prove_live_aa(given.times, given.pairs)
        return prove_quiet(given.times, given.seconds)
    if given.command.startswith("planted"):
        from _planted import prove_slowdown, prove_wal

        if given.command == "planted-wal":
            return prove_wal(given.found, given.same, given.pairs)
        return prove_slowdown(given.times, given.pilot, given.first_seed, given.pairs)
    if given.command == "record":
        return record(given.file)
    return prove(given.file, given.side, given.splits, given.seed)


if __name__ == "__main__":
    sys.exit(main())
