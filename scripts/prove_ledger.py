"""The ledger at size: its memory and the time of its algebra, and that what is planted is found by id.

    synthetic  so many rows (10 million): a server sends them as it sends those of step_tasks, in a binary COPY; the
               audit's own code puts them into their places and holds them against a ledger. Lost, unacknowledged, sent
               twice and foreign ones are planted, and each must be found, by id, and nothing else
    real       so many tasks (1 million) through pgflow: peak memory of each process, time of the run and after it

Prints a line of JSON a kind.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import numpy as np  # noqa: E402
import psycopg  # noqa: E402
from _leavings import processes_of  # noqa: E402
from psycopg import sql  # noqa: E402

from pgflow_stress.core.arena import LedgerBit  # noqa: E402
from pgflow_stress.core.ids import new_nonce  # noqa: E402
from pgflow_stress.engine.audit import AuditInput, _Auditor  # noqa: E402
from pgflow_stress.engine.copying import triples  # noqa: E402
from pgflow_stress.engine.places import Int64s  # noqa: E402
from pgflow_stress.scenario.flow import independent_steps  # noqa: E402
from pgflow_stress.scenario.workload import workload  # noqa: E402
from pgflow_stress.target.base import TargetOptions  # noqa: E402
from pgflow_stress.target.opening import open_target  # noqa: E402

STEPS = 50
PLANTED = 7
COMMAND = (sys.executable, "-m", "pgflow_stress.cli.main", "run")
# Every task but the lost ones, in no order of ids; then some twice, and some that nobody planned.
_ROWS = """
copy (
    select i / {steps} % {runs}, (i % {steps})::int4, 0::int4
    from generate_series(0::bigint, {tasks} - 1) i where i % {spacing} <> 1 or i / {spacing} >= {planted}
    union all select i, 0, 0 from generate_series(0::bigint, {planted} - 1) i
    union all select {runs} + i, 0, 0 from generate_series(0::bigint, {planted} - 1) i
) to stdout (format binary)
"""


class Synthetic(_Auditor):
    """The auditor, with a server that makes the rows up instead of reading them."""

    def rows(self, runs: int, spacing: int) -> np.ndarray[Any, Any]:
        """bool[tasks]: which the server sends."""
        query = sql.SQL(_ROWS).format(
            steps=sql.Literal(STEPS), runs=sql.Literal(runs), tasks=sql.Literal(runs * STEPS),
            spacing=sql.Literal(spacing), planted=sql.Literal(PLANTED),
        )  # fmt: skip
        found = np.zeros(self._places.tasks, dtype=bool)
        for places in self._in_places(query):
            found[places] = True
        return found

    def _in_places(self, query: sql.Composed) -> Iterator[Int64s]:
        for rows in triples(self._connection, query):
            runs, steps, tasks = (rows[name].astype(np.int64) for name in ("first", "second", "third"))
            places = self._places.of_tasks(runs, steps, tasks)
            yield places[places >= 0]

    def against(self, done: np.ndarray[Any, Any]) -> dict[str, int]:
        """Offences by check."""
        return {check.name: len(check.ids) for check in self._by_id(done)}


def peak_mib() -> float:
    """Of this process, so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def synthetic(rows: int) -> bool:
    """Rows that a server makes up against a ledger with planted differences."""
    runs = max(1, rows // STEPS)
    work, spacing, nonce = workload(independent_steps(STEPS), 1, runs), 1_001, new_nonce()
    with open_target(TargetOptions(), lambda _: None, {}) as target:
        database = target.acquire(nonce)
        try:
            with psycopg.connect(database.conninfo) as connection:
                before, began = peak_mib(), time.monotonic()
                ledger = np.full(work.expected_tasks, LedgerBit.CLAIMED | LedgerBit.COMPLETED, dtype=np.uint8)
                ledger[[spacing * i + 2 for i in range(PLANTED)]] = LedgerBit.CLAIMED  # nobody was told of these
                given = AuditInput(database.slug_prefix, nonce, work, np.ones(runs, dtype=bool), ledger, True, 0)
                auditor = Synthetic(connection, given)
                done = auditor.rows(runs, spacing)
                read, found = time.monotonic() - began, auditor.against(done)
                took = time.monotonic() - began
        finally:
            target.release(database)
    # In this order: told and not there, there and not told, expected and not there.
    held = list(found.values()) == [PLANTED, PLANTED, PLANTED]
    line = {"proof": "ledger", "kind": "synthetic", "rows": work.expected_tasks,
            "ledger_mib": round(work.expected_tasks / 2**20, 1), "peak_mib": peak_mib(), "peak_before_mib": before,
            "read_seconds": round(read, 2),
            "seconds": round(took, 2), "found": found, "held": held}  # fmt: skip
    print(json.dumps(line), flush=True)
    return held


def real(tasks: int) -> bool:
    """Tasks through pgflow: exact, and what it took."""
    path = Path(tempfile.mkdtemp(prefix="pgs-ledger-")) / "r.json"
    runs = max(1, tasks // 5)
    arguments = f"concurrent-flows --flows 10 --runs {runs} --steps 5 --repetitions 1 --warmup 0 --timeout 7200".split()
    began = time.monotonic()
    phases: list[tuple[float, str]] = []
    peaks: dict[str, int] = {}
    with subprocess.Popen(
        [*COMMAND, *arguments, "--json", path], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        watching = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
        watching.start()
        for line in process.stderr or ():
            if line.startswith("phase "):
                phases.append((time.monotonic() - began, line.split()[1]))
    took = time.monotonic() - began
    repetition = json.loads(path.read_text())["repetitions"][0] if path.exists() else {}
    found = repetition.get("tasks", {})
    held = process.returncode == 0 and found.get("completed") == runs * 5 and repetition["audit"]["ok"]
    window = repetition.get("window", {}).get("seconds", 0.0)
    started = next((at for at, name in phases if name == "create"), 0.0)
    print(json.dumps({
        "proof": "ledger", "kind": "real", "tasks": runs * 5, "exit": process.returncode, "held": held,
        "window_seconds": round(window, 1), "after_window_seconds": round(took - started - window, 1),
        "seconds": round(took, 1), "peak_mib": {name: round(kib / 1024, 1) for name, kib in sorted(peaks.items())},
    }), flush=True)  # fmt: skip
    return bool(held)


def _watch(session: int, peaks: dict[str, int]) -> None:
    """Peak memory by title, shared pages with it, until the coordinator is gone."""
    while Path(f"/proc/{session}").exists():
        for pid, title in processes_of(session):
            try:
                status = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            peak = next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
            name = title.removeprefix("pgflow-stress: ")
            peaks[name] = max(peaks.get(name, 0), peak)
        time.sleep(0.5)


def main() -> int:
    """0 where both held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["synthetic", "real"], metavar="KIND")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of synthetic")
    parser.add_argument("--tasks", type=int, default=1_000_000, help="of real")
    asked = parser.parse_args()
    os.environ.pop("DATABASE_URL", None)  # the embedded server, whatever else there is
    proofs = {"synthetic": lambda: synthetic(asked.rows), "real": lambda: real(asked.tasks)}
    if unknown := set(asked.kinds) - {*proofs}:
        parser.error(f"no such kind: {', '.join(unknown)}")
    held = [proofs[kind]() for kind in asked.kinds]  # each of them, whatever came before
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
