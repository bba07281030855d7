"""Every result below a directory on one page: list, filter, pick two, follow a metric over time; no server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Json, Result
from pgflow_stress.report import words
from pgflow_stress.report.document import render_page
from pgflow_stress.report.layout import REPORT_FILE, RESULT_FILE
from pgflow_stress.report.printable import printable
from pgflow_stress.report.result_file import read_result

INDEX_PAGE = "index.html"
_STAMP = re.compile(r"(\d{8}T\d{6})Z")
_SHOWN = ("execute.per_second", "process.per_second", "process.latency_ns.p50", "process.latency_ns.p99")
_LEFT_OUT = (".seconds", ".mean")


@dataclass(frozen=True, slots=True)
class Found:
    """One result below the directory, by its folder there."""

    folder: Path  # relative to it
    when: datetime
    result: Result


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found, oldest first, and what could not be read: (path, why)."""

    results: tuple[Found, ...]
    unread: tuple[tuple[str, str], ...]


def list_results(directory: Path) -> Listing:
    """Every result.json below a directory; links are not followed.

    Raises:
        UsageFault: it is not a directory, or has none.
    """
    if not directory.is_dir():
        raise UsageFault(f"--index {directory}: not a directory")
    results, unread = [], []
    for file in _files(directory):
        folder = file.parent.relative_to(directory)
        try:
            read = read_result(file)
            words.headline(read) if isinstance(read, Result) else None
        except UsageFault as fault:
            unread.append((str(folder / file.name), str(fault)))
            continue
        if isinstance(read, Result):
            results.append(Found(folder, _when(file, folder), read))
    if not results:
        raise UsageFault(f"--index {directory}: no result that can be read; {len(unread)} cannot")
    return Listing(tuple(sorted(results, key=lambda one: (one.when, str(one.folder)))), tuple(unread))


def _files(directory: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(directory):
        below.sort()
        if RESULT_FILE in files:
            yield Path(folder, RESULT_FILE)


def _when(file: Path, folder: Path) -> datetime:
    """What the folder's name says, as `run` gives one; else when the file was written."""
    stamp = _STAMP.search(str(folder))
    if stamp:
        return datetime.strptime(stamp[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def render_index(directory: Path, listing: Listing) -> str:
    """The page; its links lead to the reports that lie beside the results.

    Args:
        directory: where the results are, and where the page goes.
        listing: as list_results gives it.
    """
    rows = [_row(directory, one) for one in listing.results]
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    units = {name: {"unit": describe(name).unit, "better": describe(name).better} for name in metrics}
    return render_page(
        "index.html",
        "pgflow-stress: results",
        {},
        script="index.js",
        rows=rows,
        shown=_SHOWN,
        scenarios=sorted({row["scenario"] for row in rows}),
        metrics=sorted(metrics, key=lambda name: (name not in _SHOWN, name)),
        unread=listing.unread,
        data={"rows": rows, "metrics": units, "first": _SHOWN[0]},
    )


def _row(directory: Path, found: Found) -> Json:
    result, parameters = found.result, found.result.scenario["parameters"]
    report = found.folder / REPORT_FILE
    environment = result.environment
    return {
        "path": printable(str(found.folder)),
        "report": report.as_posix() if (directory / report).is_file() else None,
        "scenario": printable(str(result.scenario["name"])),
        "when": found.when.strftime("%Y-%m-%d %H:%M:%S"),
        "headline": words.headline(result),
        "setting": printable(words.setting(result)),
        "pgflow": printable(str((environment.get("pgflow") or {}).get("version", "unknown"))),
        "postgres": printable(str((environment.get("postgres") or {}).get("version", "unknown"))),
        "workers": parameters.get("workers"),
        "cells": [_cell(result, name) for name in _SHOWN],
        "metrics": {
            name: [*(_six(value) for value in (metric.mean, *(metric.ci95 or (metric.mean, metric.mean)))), metric.n]
            for name, metric in result.summary.items()
            if metric.mean is not None and not name.endswith(_LEFT_OUT)
        },
    }


def _six(value: float) -> float:
    """Six digits: more than a screen shows."""
    return float(f"{value:.6g}")


def _cell(result: Result, name: str) -> str:
    found = words.estimate(result, name)
    return f"{found.mean}{'' if found.valid or not found.plus_minus else '*'} {found.plus_minus}".strip()
