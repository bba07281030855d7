"""The report of a large result: how long its timings take to aggregate, the page to make and to open, how big it is.

Makes a result of --events rows (10 million) in a temporary directory, unless --keep names one, and prints a line of
JSON a figure with what is to be reached. Single times of this machine, no ratios: run it alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ROWS_A_REPETITION = 2_500_000
ROWS_A_PART = 500_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
OPENED = """() => [performance.getEntriesByType('navigation')[0].loadEventEnd,
                   performance.getEntriesByName('drawn')[0].startTime]"""


def make(folder: Path, events: int) -> Path:
    """A result directory with that many task rows, in repetitions of 2.5 million."""
    from pgflow_stress.report.directory import ResultDirectory
    from tests.fixtures.results import build_recording, build_repetition, build_result, build_rows

    repetitions = -(-events // ROWS_A_REPETITION)
    seconds = 60.0
    directory = ResultDirectory(folder)
    for index in range(1, repetitions + 1):
        left = min(ROWS_A_REPETITION, events - (index - 1) * ROWS_A_REPETITION)
        parts = []
        for first in range(0, left, ROWS_A_PART):
            rows = build_rows(min(ROWS_A_PART, left - first), seed=index + first)
            shift = np.linspace(3e9, (3 + seconds) * 1e9 - 2e8, len(rows)).astype(np.int64)
            took = rows["done_ns"] - rows["sent_ns"]
            rows["sent_ns"] = rows["sent_ns"][0] + shift
            rows["done_ns"] = rows["sent_ns"] + took
            parts.append((f"worker {first // ROWS_A_PART}", rows))
        directory.record(build_recording(index, parts=parts))
    tasks = min(events, ROWS_A_REPETITION)
    directory.finish(
        build_result([build_repetition(n, process_seconds=seconds, tasks=tasks) for n in range(1, repetitions + 1)])
    )
    return folder


def aggregate(folder: Path) -> tuple[float, int]:
    """(seconds, most memory in bytes) of reading all timings down to a screen's worth; in this process."""
    from pgflow_stress.report.saved import load
    from pgflow_stress.report.subject import ends_ns
    from pgflow_stress.report.timings import read_grids

    saved = load([folder])[0]
    files, ends = saved.timings(), ends_ns(saved.result)
    read_grids(files[:1], ends)  # what is loaded once is not the aggregation's
    before = time.perf_counter()
    grids = read_grids(files, ends)
    took = time.perf_counter() - before
    assert grids
    return took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured_apart(folder: Path) -> tuple[float, int]:
    """`aggregate` in a process of its own: its peak of memory is only its own."""
    command = [sys.executable, __file__, "--aggregate", str(folder)]
    took, most = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(took), int(most)


def opens(page: Path, times: int) -> tuple[float, float]:
    """Medians in seconds by Chromium's own clock: the page loaded, the last plot drawn."""
    from playwright.sync_api import sync_playwright

    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    found = []
    with sync_playwright() as driver:
        for _ in range(times):
            browser = driver.chromium.launch(executable_path=path, args=FLAGS)
            shown = browser.new_page()
            shown.goto(page.as_uri())
            shown.wait_for_selector("html[data-plots=drawn]", state="attached")
            found.append(shown.evaluate(OPENED))
            browser.close()
    loaded, drawn = zip(*found, strict=True)
    return statistics.median(loaded) / 1e3, statistics.median(drawn) / 1e3


def figures(folder: Path, small: Path, events: int, times: int) -> list[dict[str, object]]:
    """Every figure, each with what is to be reached."""
    took, most = zip(*(measured_apart(folder) for _ in range(times)), strict=True)
    _, most_small = measured_apart(small)
    page = folder / "report.html"
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pgflow_stress.cli.main", "report", str(folder)], check=True, cwd=ROOT)
    made = time.perf_counter() - begin
    loaded, drawn = opens(page, times)
    rows = [
        ("timings aggregated", statistics.median(took), "s", "<= 1"),
        ("memory above that of a tenth of the events", (min(most) - most_small) / 2**20, "MiB", "<= 64"),
        ("report made", made, "s", "<= 20"),
        ("report's size", page.stat().st_size / 1e6, "MB", "<= 10"),
        ("report opened: load event", loaded, "s", "<= 2"),
        ("report opened: last plot drawn", drawn, "s", "<= 2"),
    ]
    return [{"figure": f"{name}, {events:,} events", "value": round(value, 3), "unit": unit, "reach": reach}
            for name, value, unit, reach in rows]  # fmt: skip


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=5, help="of each that is taken several times; the median counts")
    parser.add_argument("--keep", type=Path, help="where the result is made and kept, or is already")
    parser.add_argument("--output", type=Path, help="the lines are appended to this file, too")
    parser.add_argument("--aggregate", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.aggregate:
        print(json.dumps(aggregate(given.aggregate)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary, "large")
        if not (folder / "result.json").exists():
            make(folder, given.events)
        small = make(Path(temporary, "small"), given.events // 10)
        found = figures(folder, small, given.events, given.times)
    for figure in found:
        line = json.dumps(figure)
        print(line)
        if given.output:
            with given.output.open("a") as stream:
                stream.write(f"{line}\n")


if __name__ == "__main__":
    main()
