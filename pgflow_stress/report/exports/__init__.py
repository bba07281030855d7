"""Files made out of saved results, one module each; a new one is a file and a line here.

Modules are imported on use: pyarrow and jinja2 take their time. A module has

    render(saved) -> str                one document, which may go to standard output
    write(saved, path, metric) -> None  one file that is no text
    write_all(saved, folder) -> None    everything: several files, in NN-name/ where there are several results

With `metric` set, what is one document or file holds one metric's latencies, and the function takes its name last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["text", "file"]
DEFAULT_METRIC = "process"


@dataclass(frozen=True, slots=True)
class Export:
    """One format of `report`."""

    module: str
    shape: Shape
    job: str
    metric: bool = False  # one file of it holds --metric
    folder: bool = False  # a folder holds all of it


EXPORTS: dict[str, Export] = {
    "html": Export("pgflow_stress.report.exports.html", "text", "one file that needs nothing else"),
    "md": Export("pgflow_stress.report.exports.markdown", "text", "tables for a pull request"),
    "json": Export("pgflow_stress.report.exports.json", "text", "the result itself; an array of several"),
    "csv": Export(
        "pgflow_stress.report.exports.csv", "text", "a line a repetition and metric", metric=True, folder=True
    ),
    "hlog": Export("pgflow_stress.report.exports.hlog", "text", "HdrHistogram log, ns"),
    "hgrm": Export(
        "pgflow_stress.report.exports.hgrm", "text", "percentile distribution, ms", metric=True, folder=True
    ),
    "parquet": Export(
        "pgflow_stress.report.exports.parquet", "file", "timings, a row an event", metric=True, folder=True
    ),
    "openmetrics": Export("pgflow_stress.report.exports.openmetrics", "text", "gauges for Prometheus"),
    "junit": Export("pgflow_stress.report.exports.junit", "text", "thresholds and audit checks as test cases"),
    "annotations": Export(
        "pgflow_stress.report.exports.annotations", "text", "what failed, as GitHub's workflow commands"
    ),
}
