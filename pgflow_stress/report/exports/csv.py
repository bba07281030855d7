"""Metrics in long form: a line a repetition and metric, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.summary import metrics_of
from pgflow_stress.report.saved import Saved

HEADER = ("result", "scenario", "repetition", "warmup", "counted", "metric", "unit", "value")


def render(saved: Sequence[Saved]) -> str:
    """CSV by RFC 4180; an absent value is an empty field, numbers are not rounded."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(HEADER)
    for number, one in enumerate(saved, 1):
        for repetition in one.result.repetitions:
            marks = (int(repetition.warmup), int(repetition.counted))
            for name, value in metrics_of(repetition):
                text = "" if value is None else repr(value)
                writer.writerow((number, one.name, repetition.index, *marks, name, describe(name).unit, text))
    return stream.getvalue()
