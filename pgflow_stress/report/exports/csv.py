"""Metrics in long form: a line a repetition and metric, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.summary import metrics_of
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.folders import folders
from pgflow_stress.report.result_file import write_atomically
from pgflow_stress.report.saved import Saved

HEADER = ("result", "scenario", "repetition", "warmup", "counted", "metric", "unit", "value")
FILE = "metrics.csv"


def render(saved: Sequence[Saved], metric: str | None = None) -> str:
    """CSV by RFC 4180; an absent value is an empty field, numbers are not rounded.

    Args:
        saved: the results, numbered from 1.
        metric: only this one and those below it (`process`, `process.latency_ns`); None for all.
    Raises:
        UsageFault: no repetition has such a metric.
    """
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(HEADER)
    written = False
    for number, one in enumerate(saved, 1):
        for repetition in one.result.repetitions:
            marks = (int(repetition.warmup), int(repetition.counted))
            for name, value in metrics_of(repetition):
                if metric is None or f"{name}.".startswith(f"{metric}."):
                    text = "" if value is None else repr(value)
                    writer.writerow((number, one.name, repetition.index, *marks, name, describe(name).unit, text))
                    written = True
    if metric is not None and not written:
        raise UsageFault(f"--metric {metric!r}: no repetition has it")
    return stream.getvalue()


def write_all(saved: Sequence[Saved], path: Path) -> None:
    """Every metric of each result, in a file of its own."""
    for one, folder in zip(saved, folders(saved, path), strict=True):
        write_atomically(folder / FILE, render([one]))
