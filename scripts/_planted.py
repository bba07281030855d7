"""Differences planted into pgflow, and how often `compare --interleave` finds them: for prove_statistics.

Planted is a trigger on pgflow.step_tasks that fires when complete_task marks a task completed: one more migration
beside pgflow's own, so that both sides are what a user compares, two directories of migrations.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import stats

from pgflow_stress.analysis.precision import CERTAINTY
from pgflow_stress.analysis.statistics import ALPHA, paired, pairs_for
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.target.assets import pgflow_migrations

VERSION = "0.8.1"

MOST_UNTOLD = 0.10
JOB = "concurrent-flows --flows 4 --runs 80 --steps 10 --workers 1"
LONG_JOB = (
    "concurrent-flows --flows 4 --runs 240 --steps 10 --workers 1"  # a rate of a second is mostly its neighbours'
)
COUNTERS = ("wal_bytes", "wal_records", "rows", "xids", "buffers")
LIMIT_PERCENT = 0.5  # of a counter's gate: half of what is planted
WAL_RISE, SLOW_DOWN = 0.01, 0.10
EVERY = 10  # tasks: the smallest record that can be planted is about 1 % of one task's WAL by itself
_RECORD_BYTES = 64  # of a logical message: headers, "planted" and rounding

_MIGRATION = """
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE until timestamptz := clock_timestamp() + interval '{microseconds} microseconds';
BEGIN
  {emit}
  WHILE clock_timestamp() < until LOOP END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER planted AFTER UPDATE ON pgflow.step_tasks FOR EACH ROW
  WHEN (new.status = 'completed' AND old.status <> 'completed' AND new.message_id % {every} = 0)
  EXECUTE FUNCTION pgflow.planted();
"""


@contextmanager
def migrations_with(sql: str) -> Iterator[Path]:
    """A directory of pgflow's migrations, and one more behind them that plants `sql`."""
    with tempfile.TemporaryDirectory(prefix="pgflow-planted-") as folder:
        for path in pgflow_migrations(VERSION, lambda line: print(line, file=sys.stderr)).glob("*.sql"):
            shutil.copy(path, folder)
        Path(folder, "29990101000000_pgflow_planted.sql").write_text(sql)
        yield Path(folder)


@contextmanager
def planted(*, wal_bytes: int = 0, microseconds: int = 0, every: int = 1) -> Iterator[Path]:
    """A directory of migrations with so much planted into every so manieth completed task."""
    message = max(1, wal_bytes - _RECORD_BYTES)
    emit = f"PERFORM pg_logical_emit_message(true, 'planted', repeat('x', {message}));" if wal_bytes else ""
    with migrations_with(_MIGRATION.format(microseconds=microseconds, emit=emit, every=every)) as folder:
        yield folder


def tool(*arguments: object, prefix: Sequence[str] = ()) -> tuple[int, Any]:
    """One call of the tool, begun by `prefix` where there is one: its code and the document of its --json."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "found.json")
        module = [sys.executable, "-m", "pgflow_stress.cli.main"]
        command = [*prefix, *module, *map(str, arguments), "--quiet", "--json", str(path)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                code = process.wait()
            except KeyboardInterrupt:  # it had the signal too, and is not to be killed while it cleans up
                process.wait()
                raise
        return code, json.loads(path.read_text()) if path.exists() else None


@dataclass(frozen=True)
class Comparer:
    """`compare --interleave` of one job, with one primary metric and its gates."""

    primary: str
    gates: tuple[str, ...]
    pairs: int
    job: str = JOB

    def of(self, base: object, candidate: object, seed: int) -> dict[str, Any]:
        """One comparison of two versions."""
        gates = [part for gate in self.gates for part in ("--fail-on", gate)]
        code, document = tool(
            "compare", "--interleave", "--vary", f"pgflow={base};{candidate}", *self.job.split(),
            "--repetitions", self.pairs, "--seed", seed, "--primary", self.primary, *gates,
        )  # fmt: skip
        if document is None or code not in (ExitCode.DONE, ExitCode.GATE_FAILED):
            raise SystemExit(f"a comparison ended with {code}: nothing is proven")
        (one,) = document["comparisons"]
        metric = next(metric for metric in one["metrics"] if metric["primary"])
        return {
            "fired": [gate["text"] for gate in one["gates"] if gate["fired"]],
            "verdict": metric["verdict"],
            "ratio": metric["ratio"],
            "ci95": metric["ci95"],
            "pairs": metric["n"][0],
            **({"why": metric["reason"]} if metric["verdict"] == "cannot tell" else {}),
        }


def tell(**values: object) -> None:
    """A line of JSON."""
    print(json.dumps(values), flush=True)


def measured(metric: str, job: str = JOB) -> float:
    """The mean of a metric of the job, of one short run."""
    code, document = tool("run", *job.split(), "--repetitions", 3)
    if code:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    return float(document["summary"][metric]["mean"])


def prove_wal(found: int, same: int, pairs: int) -> int:
    """A rise of WAL per task is found each time; of one thing against itself no counter's gate ever fires."""
    gates = tuple(f"server.{name}_per_task>+{LIMIT_PERCENT}%" for name in COUNTERS)
    comparer = Comparer("server.wal_bytes_per_task", gates, pairs)
    per_task = measured("server.wal_bytes_per_task")
    tell(proof="planted-wal", wal_bytes_per_task=per_task, planted=WAL_RISE, job=JOB)
    hits = false = 0
    with planted(wal_bytes=round(EVERY * WAL_RISE * per_task), every=EVERY) as rising:
        for seed in range(1, found + 1):
            one = comparer.of(VERSION, rising, seed)
            hits += gates[0] in one["fired"]
            tell(planted=WAL_RISE, seed=seed, **one)
    for seed in range(1, same + 1):
        one = comparer.of(VERSION, VERSION, seed)
        false += bool(one["fired"])
        tell(planted=0, seed=seed, **one)
    held = hits == found and not false
    tell(proof="planted-wal", found=hits, of=found, false=false, of_same=same, held=held)
    return 0 if held else 1


def prove_slowdown(times: int, pilot_pairs: int, first_seed: int, pairs: int | None) -> int:
    """A slow-down of a tenth is found in 9 of 10, and lies within the interval in 17 of 20."""
    primary = "execute.per_second"
    task_us = 1e6 / measured(primary, LONG_JOB)  # one worker: what a task takes longer, all of them take longer
    pairs = pairs or _pairs(primary, pilot_pairs)
    tell(proof="planted-slowdown", task_us=task_us, planted=SLOW_DOWN, pairs=pairs, job=LONG_JOB)
    comparer = Comparer(primary, (), pairs, LONG_JOB)
    truth = 1 / (1 + SLOW_DOWN)
    found = inside = 0
    with planted() as base, planted(microseconds=round(SLOW_DOWN * task_us)) as slower:
        for seed in range(first_seed, first_seed + times):
            one = comparer.of(base, slower, seed)
            low, high = one["ci95"] or (1.0, 1.0)
            found += one["verdict"] == "worse"
            inside += low <= truth <= high
            tell(seed=seed, truth=truth, **one)
    held = found >= 0.9 * times and inside >= 0.85 * times
    tell(proof="planted-slowdown", found=found, inside=inside, of=times, held=held)
    return 0 if held else 1


def prove_live_aa(times: int, pairs: int) -> int:
    """One version against itself, measured now each time: called different about as often as the level allows."""
    comparer = Comparer("execute.per_second", (), pairs)
    verdicts: Counter[str] = Counter()
    for seed in range(1, times + 1):
        one = comparer.of(VERSION, VERSION, seed)
        verdicts[one["verdict"]] += 1
        tell(proof="live-aa", seed=seed, **one)
    false, untold = verdicts["better"] + verdicts["worse"], verdicts["cannot tell"]
    interval = stats.binomtest(false, times).proportion_ci(0.95)
    held = bool(interval.low <= ALPHA and untold <= MOST_UNTOLD * times)
    tell(proof="live-aa", false=false, of=times, false_ci95=[interval.low, interval.high], verdicts=verdicts, held=held)
    return 0 if held else 1


def prove_quiet(times: int, seconds: float) -> int:
    """Runs sized to windows of so many seconds: no reason against their headline rates appears in any."""
    limits = ("--limit", f"min_phase_seconds={seconds:g}", "--limit", "min_cycles_per_worker=20")
    held = 0
    for seed in range(1, times + 1):
        code, document = tool(
            "run", *JOB.split(), "--full", *limits, "--repetitions", 3, "--warmup", 1, "--seed", seed
        )  # fmt: skip
        if code:
            raise SystemExit(f"a run ended with {code}: nothing is proven")
        verdict = document["verdict"]
        of_metrics = sorted({reason for one in verdict["metrics"].values() for reason in one["reasons"]})
        window = min(r["phases"]["process"]["seconds"] for r in document["repetitions"] if not r["warmup"])
        held += not verdict["reasons"]
        tell(
            proof="quiet", seed=seed, process_seconds=round(window, 2), reasons=verdict["reasons"],
            of_other_metrics=[one for one in of_metrics if one not in verdict["reasons"] and _disturbed(one)],
            notes=verdict.get("notes", []),
        )  # fmt: skip
    tell(proof="quiet", without_a_reason=held, of=times, held=held == times)
    return 0 if held == times else 1


def _disturbed(reason: str) -> bool:
    """Whether it is about the window, rather than a metric of its own that varies or has too few samples."""
    return " varies: " not in reason and " has a value in " not in reason


def _pairs(primary: str, pilot_pairs: int) -> int:
    """So many that this difference is found in 19 of 20, at the spread of a pilot of one thing against itself."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "pilot")
        code, _ = tool(
            "compare", "--interleave", "--vary", f"pgflow={VERSION};{VERSION}", *LONG_JOB.split(), "--repetitions",
            pilot_pairs, "--seed", 1_000, "--output", out,
        )  # fmt: skip
        if code:
            raise SystemExit(f"the pilot ended with {code}: nothing is proven")
        results = sorted(out.glob("*/result.json"))
        base, candidate = (json.loads(path.read_text())["summary"][primary]["values"] for path in results)
    return pairs_for(paired(base, candidate), 1 - 1 / (1 + SLOW_DOWN), power=0.95, certainty=CERTAINTY)
