"""What telemetry costs and whether it is right; one line of JSON a proof.

cost        tasks/s with light telemetry ÷ without, in turns: median >= 0.99, the interval's lower end >= 0.97
cost-full   the same of full, written down
wal         WAL bytes a task against what pg_walinspect finds in the log between the same two positions: within 2 %
reading     CPU and memory of each process against another process's reading of /proc meanwhile: within 5 %
balloon     200 MB held for 50 ms by a worker: the peak that is told has them
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _balloon import balloon_command
from _planted import tell, tool
from _readings import Reader, compared

from pgflow_stress.analysis.paired_cost import pairs
from pgflow_stress.core.result import from_json
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.opening import open_target

LOAD = "concurrent-flows --flows 8 --steps 100 --workers 2 --poll-size 100 --completion-batch-size 100"
LEAST_MEDIAN, LEAST_LOWER_END = 0.99, 0.97
WITHIN, WAL_WITHIN = 0.05, 0.02
BALLOON_BYTES, BALLOON_SECONDS = 200 << 20, 0.05
_RESAMPLES = 10_000
_KEEP = ("wal_keep_size", "8GB")  # the log of the window is read after it
_PAGE_BYTES, _SEGMENT_BYTES = 8192, 16 << 20
_PAGE_HEADER_BYTES, _MORE_AT_SEGMENT_BYTES = 24, 16
_SLICE_BYTES = 16 << 20  # of the log, looked at in one statement
_WALINSPECT = """
select count(*), coalesce(sum(record_length), 0)::int8, coalesce(sum((record_length + 7) / 8 * 8), 0)::int8,
       pg_wal_lsn_diff(max(end_lsn), '0/0')::int8
from pg_get_wal_records_info('0/0'::pg_lsn + %s::numeric, '0/0'::pg_lsn + %s::numeric)
"""


def _run(*arguments: object) -> Any:
    code, document = tool("run", *arguments)
    if code or document is None:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    return document


def prove_cost(level: str, count: int, runs: int) -> bool:
    """Rates with and without, as ratios of neighbours; the median's 95 % interval by the bootstrap."""
    document = _run(
        *LOAD.split(), "--runs", runs, "--repetitions", count, "--warmup", 1, "--telemetry", level, "--telemetry-cost"
    )
    found = pairs(from_json(document).repetitions)
    ratios = np.array([a.phases["process"].per_second / b.phases["process"].per_second for a, b in found])  # type: ignore[operator]
    drawn = np.median(np.random.default_rng(1).choice(ratios, (_RESAMPLES, len(ratios))), axis=1)
    low, high = (float(end) for end in np.percentile(drawn, (2.5, 97.5)))
    median = float(np.median(ratios))
    held = level == "full" or (median >= LEAST_MEDIAN and low >= LEAST_LOWER_END)
    tell(proof=f"cost of {level}", held=held, median=median, ci95=[low, high], pairs=len(ratios))
    return held


def prove_wal(runs: int) -> bool:
    """The server's own account of its log, record by record, between the positions that the result names.

    A record takes its length rounded up to 8 bytes, and a page of the log a header: with both the log has as many bytes
    as were counted. `pg_stat_wal`, whose rise is in the result too, counts lengths alone, as pg_walinspect does.
    """
    import psycopg

    options = TargetOptions(pg_settings=(_KEEP,))
    with open_target(options, lambda line: print(line, file=sys.stderr)) as target:
        document = _run(
            *LOAD.split(), "--runs", runs, "--repetitions", 1, "--warmup", 1, "--pg-setting", "=".join(_KEEP)
        )
        (counted,) = [one for one in document["repetitions"] if not one["warmup"]]
        from_bytes, to_bytes = counted["server"]["wal_positions"]
        conninfo = target.conninfo("postgres")  # type: ignore[attr-defined]
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("create extension if not exists pg_walinspect")
            try:
                records, lengths, aligned = _inspected(connection, from_bytes, to_bytes)
            finally:
                connection.execute("drop extension pg_walinspect")
    pages = to_bytes // _PAGE_BYTES - from_bytes // _PAGE_BYTES
    segments = to_bytes // _SEGMENT_BYTES - from_bytes // _SEGMENT_BYTES
    whole = aligned + pages * _PAGE_HEADER_BYTES + segments * _MORE_AT_SEGMENT_BYTES
    tasks = counted["tasks"]["completed"]
    ours = counted["server"]["wal_bytes_per_task"]
    of_view = counted["server"]["deltas_per_task"]["wal"]["server"]["wal_bytes"]
    ratio, ratio_of_view = ours * tasks / whole, of_view * tasks / lengths
    held = abs(ratio - 1) <= WAL_WITHIN and abs(ratio_of_view - 1) <= WAL_WITHIN
    tell(
        proof="wal", held=held, by="pg_walinspect of the embedded server", wal_bytes_per_task=ours,
        walinspect_bytes_per_task=whole / tasks, ratio=ratio, pg_stat_wal_bytes_per_task=of_view,
        walinspect_lengths_per_task=lengths / tasks, ratio_of_pg_stat_wal=ratio_of_view,
        padding_and_headers=whole / lengths - 1, records_per_task=records / tasks, tasks=tasks,
    )  # fmt: skip
    return held


def _inspected(connection: Any, from_bytes: int, to_bytes: int) -> tuple[int, int, int]:
    """(records, their lengths, their lengths as they are padded) between two positions of the log."""
    sums = np.zeros(3, dtype=np.int64)
    at = from_bytes
    while at < to_bytes:
        ((*found, end),) = connection.execute(_WALINSPECT, (at, min(to_bytes, at + _SLICE_BYTES))).fetchall()
        if end is None:
            break
        sums += found
        at = end
    records, lengths, aligned = sums.tolist()
    return records, lengths, aligned


def prove_reading(seconds: int) -> bool:
    """Each process of ours and of the server, by the tool and by a reader that shares nothing with it."""
    job = (
        *LOAD.split()[:-4], "--completion", "single", "--client-delay", 300, "--rate", 8, "--duration", f"{seconds}s",
        "--events", "wal", "--repetitions", 1, "--warmup", 0, "--telemetry-interval", "0.5s",
    )  # fmt: skip
    with (
        open_target(TargetOptions(events="wal"), lambda line: print(line, file=sys.stderr)) as target,
        tempfile.TemporaryDirectory() as folder,
    ):
        out = Path(folder, "o")
        with Reader(target.conninfo("postgres")) as reader:  # type: ignore[attr-defined]
            command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *map(str, job), "--output", str(out)]
            with subprocess.Popen([*command, "--quiet"], stdin=subprocess.DEVNULL) as running:
                reader.watch(running.pid)
                code = running.wait()
        if code:
            raise SystemExit(f"a run ended with {code}: nothing is proven")
        document = json.loads((out / "result.json").read_text())
        found = compared(out / "telemetry.parquet", document["repetitions"][0]["telemetry"], reader)
    held = len(found.cpu) >= 3 and len(found.rss) >= 5 and found.worst_cpu <= WITHIN and found.worst_rss <= WITHIN
    tell(
        proof="reading", held=held, worst_cpu=found.worst_cpu, worst_rss=found.worst_rss, cpu=found.cpu, rss=found.rss,
        cpu_too_small_for_a_share=found.small,
    )  # fmt: skip
    return held


def prove_balloon() -> bool:
    """A worker of an ordinary run holds more for a moment; no reading need fall into it."""
    job = (*LOAD.split(), "--runs", 60, "--repetitions", 1, "--warmup", 0)
    with tempfile.TemporaryDirectory() as folder:
        path, now = Path(folder, "r.json"), Path(folder, "now")
        command = balloon_command(now, BALLOON_BYTES, BALLOON_SECONDS)
        with subprocess.Popen(
            [*command, "run", *map(str, job), "--json", str(path)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            assert running.stderr is not None
            for line in running.stderr:
                if line.startswith("phase process"):
                    now.touch()
            code = running.wait()
        if code:
            raise SystemExit(f"a run ended with {code}: nothing is proven")
        (one,) = json.loads(path.read_text())["repetitions"]
    told = one["telemetry"]["processes"]["worker"]
    peak, both = told["rss_peak_bytes"], told["rss_peak_total_bytes"]
    grown = 2 * peak - both  # two workers alike but for it
    held = told["rss_peak_of"] == "worker 0" and abs(grown / BALLOON_BYTES - 1) <= WITHIN
    tell(proof="balloon", held=held, peak_bytes=peak, above_the_other_worker=grown, balloon=BALLOON_BYTES,
         since=told["rss_peak_since"])  # fmt: skip
    return held


PROOFS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "cost": lambda given: prove_cost("light", given.pairs, given.runs),
    "cost-full": lambda given: prove_cost("full", given.pairs, given.runs),
    "wal": lambda given: prove_wal(given.runs),
    "reading": lambda given: prove_reading(given.seconds),
    "balloon": lambda _given: prove_balloon(),
}


def main() -> int:
    """Run the proofs that were asked for; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", default=list(PROOFS), metavar="PROOF", help=", ".join(PROOFS))
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--runs", type=int, default=100, help="of 100 steps each, a repetition")
    parser.add_argument("--seconds", type=int, default=30, help="that the processes are read for")
    given = parser.parse_args()
    held = [PROOFS[name](given) for name in given.proofs]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
