"""Load for a while: private memory, descriptors, shared memory and prepared plans of every process stay flat.

    one          one open-load repetition with an observer and the sampler: every process of ours and every backend
    repetitions  short repetitions one after another: coordinator, nursery and postmaster, whose life spans them all.
                 The coordinator keeps each repetition's result, so it may grow by four times what that takes as JSON

What is looked at each second is anonymous memory (RssAnon): the arena and the server's buffers are shared, mapped
before the window and merely touched as they fill. The first fifth is warm-up. What is left is cut into blocks; the
slope is that of the blocks' means, its interval Student's, so that neighbouring readings are not taken for independent
ones. Flat is a slope whose 95 % interval contains 0, or a rise over the whole below --tolerance. Cached plans are
counted in the server's own report of a backend's memory (pg_log_backend_memory_contexts), early and late.
Prints a line of JSON a process and quantity that is not flat, and one in the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _leavings import end_in_order, processes_of, servers_of
from scipy.stats import t as student

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import psycopg  # noqa: E402

COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main", "run")
KINDS = {
    "one": "concurrent-flows --flows 5 --steps 5 --runs {runs} --rate {rate} --duration {seconds}s --workers 2 "
    "--events wal --telemetry full --repetitions 1 --warmup 0 --timeout 120",
    "repetitions": "concurrent-flows --flows 2 --runs 40 --steps 5 --workers 2 --events wal --warmup 0 "
    "--repetitions 100000",
}
WARM_UP = 0.2
BLOCKS = 12
_LEVEL = 0.975
_OBJECTS_A_BYTE = 4.0  # of JSON: what Python's objects take in memory for it, with room
_BACKEND = re.compile(r"postgres: .*?(pgflow-stress: [a-z]+(?: \w+)?)")
_CONTEXT = re.compile(r"level: \d+; (CachedPlan\w*)")
_MORE = re.compile(r"(\d+) more child contexts")


class Readings:
    """Series by (process, quantity), one clock for all."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)

    def read(self, at: float, session: int, state: Path) -> None:
        """Look at everything once."""
        for pid, title in processes_of(session):
            self._process(at, pid, title.removeprefix("pgflow-stress: "))
        for postmaster in servers_of(state):
            self._process(at, postmaster.pid, "postmaster")
            with contextlib.suppress(psutil.Error):
                for child in postmaster.children():
                    self._process(at, child.pid, _backend(child))
        shared = sum(path.stat().st_size for path in Path("/dev/shm").glob("PostgreSQL.*"))
        self.series["machine", "shared_memory_bytes"].append((at, shared))

    def _process(self, at: float, pid: int, name: str) -> None:
        if not name:
            return
        with contextlib.suppress(OSError, ValueError, StopIteration):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            for word in ("RssAnon", "RssShmem"):
                line = next(line for line in status if line.startswith(f"{word}:"))
                self.series[f"{name} ({pid})", f"{word}_bytes"].append((at, int(line.split()[1]) * 1024))
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  counted, not walked
            self.series[f"{name} ({pid})", "descriptors"].append((at, descriptors))


def _backend(process: psutil.Process) -> str:
    title = " ".join(process.cmdline())
    found = _BACKEND.search(title)
    return f"backend of {found[1].removeprefix('pgflow-stress: ')}" if found else title.split(" [")[0][:40]


def blocks_of(readings: list[tuple[float, float]]) -> Any:
    """The means of blocks after the warm-up: float[blocks, 2], seconds and values."""
    at, values = np.array(readings).T
    kept = at >= at[0] + WARM_UP * (at[-1] - at[0])
    pairs = zip(np.array_split(at[kept], BLOCKS), np.array_split(values[kept], BLOCKS), strict=True)
    return np.array([(a.mean(), v.mean()) for a, v in pairs if len(a)])


def slope(blocks: Any) -> tuple[float, float, float]:
    """(slope a second, its lower and upper 95 % bound) by blocks' means."""
    x, y = blocks.T
    x = x - x.mean()
    rise = float((x * y).sum() / (x * x).sum())
    residuals = y - y.mean() - rise * x
    error = float(np.sqrt((residuals**2).sum() / (len(x) - 2) / (x * x).sum()))
    half = float(student.ppf(_LEVEL, len(x) - 2)) * error
    return rise, rise - half, rise + half


def judge(readings: Readings, seconds: float, tolerance_bytes: float, kept_bytes: float) -> list[dict[str, Any]]:
    """A row a series that lasted; "flat" says whether it was.

    Args:
        readings: of all that was looked at.
        seconds: of the whole.
        tolerance_bytes: a rise that is none.
        kept_bytes: what the coordinator keeps on purpose comes on top of that, for it.
    """
    rows = []
    for (process, quantity), series in sorted(readings.series.items()):
        lasted = series[-1][0] - series[0][0]
        if lasted < 0.6 * seconds or len(series) < 3 * BLOCKS:
            continue  # of a process that came or went: each repetition's own
        blocks = blocks_of(series)
        rise, low, high = slope(blocks)
        total = rise * lasted
        least = tolerance_bytes if quantity.endswith("bytes") else 0.5
        if quantity == "RssAnon_bytes" and process.startswith("coordinator"):
            least += kept_bytes
        row = {"process": process, "quantity": quantity, "a_second": round(rise, 3),
               "ci95": [round(low, 3), round(high, 3)], "over_all": round(total), "last": series[-1][1]}  # fmt: skip
        # What is shared only fills what was mapped before: bounded by its size, and told.
        flat = low <= 0 <= high or total < least or quantity == "RssShmem_bytes"
        rows.append({**row, "flat": flat} | ({} if flat else {"blocks": blocks[:, 1].round().tolist()}))
    return rows


def plans(state: Path) -> dict[str, int]:
    """Cached plans of each backend of ours, by the server's own report in its log."""
    found: dict[str, int] = {}
    log = next(iter(state.glob("instances/*/server/server.log")), None)
    run = next(iter(state.glob("instances/*/server/run")), None)
    if log is None or run is None:
        return found
    conninfo = psycopg.conninfo.make_conninfo(
        host=str(run), user="postgres", dbname="postgres", options="", hostaddr=""
    )
    with psycopg.connect(conninfo, autocommit=True) as server:
        backends = server.execute(
            "select pid, application_name from pg_stat_activity "
            "where application_name ~ '^pgflow-stress: (worker|starter)'"
        ).fetchall()
        for pid, name in backends:
            begin = log.stat().st_size
            server.execute("select pg_log_backend_memory_contexts(%s)", (pid,))
            text = _said(log, begin)
            if text:
                found[name] = len(_CONTEXT.findall(text)) + sum(int(more) for more in _MORE.findall(text))
    return found


def _said(log: Path, begin: int) -> str:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with log.open("rb") as handle:
            handle.seek(begin)
            text = handle.read().decode(errors="replace")
        if "Grand total" in text:
            return text
        time.sleep(0.05)
    return ""


def prove(kind: str, seconds: float, rate: float, tolerance_bytes: float) -> bool:
    """One load; whether all was flat."""
    folder = Path(tempfile.mkdtemp(prefix="pgs-leaks-", dir="/tmp"))
    folder.chmod(0o755)  # the server's system user has to pass
    state = folder / "state"
    arguments = KINDS[kind].format(runs=round(rate * seconds) + 1, rate=rate, seconds=round(seconds)).split()
    readings, early, late = Readings(), {}, {}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--json", folder / "result.json"], cwd=folder,
            env={**os.environ, "PGFLOW_STRESS_STATE": str(state)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None and "phase process" not in (folder / "said").read_text():
                time.sleep(0.1)
            began = time.monotonic()
            while process.poll() is None and (at := time.monotonic() - began) < seconds * 0.98:
                readings.read(at, process.pid, state)
                if kind == "one" and not early and at > WARM_UP * seconds:
                    early = plans(state)
                if kind == "one" and not late and at > 0.95 * seconds:
                    late = plans(state)
                time.sleep(max(0.0, 1.0 - (time.monotonic() - began - at)))
            if kind != "one":
                process.terminate()
            code = process.wait(300)
        finally:
            if process.poll() is None:
                process.kill()
    repetitions, json_bytes = _kept(folder / "result.json")
    rows = judge(readings, seconds, tolerance_bytes, repetitions * json_bytes * _OBJECTS_A_BYTE)
    for row in rows:
        if not row["flat"] or row["quantity"] == "RssAnon_bytes":
            print(json.dumps({"proof": "leaks", "kind": kind, **row}), flush=True)
    more_plans = {name: [early[name], late[name]] for name in early if name in late and late[name] > early[name]}
    held = code == (0 if kind == "one" else 130) and bool(rows) and all(row["flat"] for row in rows) and not more_plans
    line = {"proof": "leaks", "kind": kind, "seconds": round(seconds), "exit": code, "series": len(rows),
            "not_flat": sum(not row["flat"] for row in rows), "plans": late, "more_plans": more_plans,
            "repetitions": repetitions, "json_bytes_a_repetition": json_bytes, "held": held}  # fmt: skip
    print(json.dumps(line), flush=True)
    if code not in (0, 130):
        print((folder / "said").read_text()[-1000:], file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    return held


def _kept(path: Path) -> tuple[int, int]:
    """How many repetitions a result has, and the bytes that one takes in it; where there are several."""
    repetitions = json.loads(path.read_text())["repetitions"] if path.exists() else []
    if len(repetitions) < 2:
        return len(repetitions), 0
    return len(repetitions), round(sum(len(json.dumps(one)) for one in repetitions) / len(repetitions))


def main() -> int:
    """0 where all was flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0, help="runs a second, of five tasks")
    parser.add_argument("--tolerance", type=float, default=128.0, help="KiB over the run that are no leak")
    asked = parser.parse_args()
    end_in_order()
    if unknown := set(asked.kinds) - {*KINDS}:
        parser.error(f"no such kind: {', '.join(unknown)}")
    held = [prove(kind, asked.minutes * 60, asked.rate, asked.tolerance * 1024) for kind in asked.kinds]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
