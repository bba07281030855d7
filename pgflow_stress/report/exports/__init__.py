"""Files made out of saved results, one module each; a new one is a file and a line here.

Modules are imported on use: pyarrow and jinja2 take their time. By shape a module has

    text     render(saved) -> str               one document, which may go to standard output
    file     write(saved, path) -> None         one binary file
    folder   write(saved, path) -> None         several files, in NN-name/ where there are several results
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["text", "file", "folder"]


@dataclass(frozen=True, slots=True)
class Export:
    """One format of `report`."""

    module: str
    shape: Shape
    job: str


EXPORTS: dict[str, Export] = {
    "html": Export("pgflow_stress.report.exports.html", "text", "one file that needs nothing else"),
    "md": Export("pgflow_stress.report.exports.markdown", "text", "tables for a pull request"),
    "json": Export("pgflow_stress.report.exports.json", "text", "the result itself; an array of several"),
    "csv": Export("pgflow_stress.report.exports.csv", "text", "a line a repetition and metric"),
    "hlog": Export("pgflow_stress.report.exports.hlog", "text", "HdrHistogram log, ns"),
    "hgrm": Export("pgflow_stress.report.exports.hgrm", "folder", "percentile distributions, ms"),
    "parquet": Export("pgflow_stress.report.exports.parquet", "file", "timings, a row an event"),
}
LATER_FORMATS = ("openmetrics", "junit")
