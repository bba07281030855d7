"""Files made out of results and recordings, one module each; a new one is a file and a line here.

A module has `export(located, target)`. Modules are imported on use: pyarrow and jinja2 take their time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["text", "folder"]


@dataclass(frozen=True, slots=True)
class Export:
    """One format of `report`."""

    module: str  # has export(located: Sequence[Located]) -> str, or export(located, folder: Path) -> None
    shape: Shape  # text: one document; folder: several files, so never standard output
    job: str


EXPORTS: dict[str, Export] = {
    "json": Export("pgflow_stress.report.exports.json", "text", "the result itself; an array of several"),
    "md": Export("pgflow_stress.report.exports.markdown", "text", "tables for a pull request"),
    "csv": Export("pgflow_stress.report.exports.csv", "text", "a line a repetition and metric"),
    "html": Export("pgflow_stress.report.exports.html", "text", "one file that needs nothing else"),
    "hgrm": Export("pgflow_stress.report.exports.hgrm", "folder", "percentile distributions, ms"),
    "hlog": Export("pgflow_stress.report.exports.hlog", "folder", "HdrHistogram log, ns"),
    "parquet": Export("pgflow_stress.report.exports.parquet", "folder", "timings, a row an event"),
}
LATER_FORMATS = ("openmetrics", "junit")
