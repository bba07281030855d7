"""Percentile distributions (.hgrm) of saved results, milliseconds: one metric's, or a file an operation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.latency import merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.report.exports import DEFAULT_METRIC
from pgflow_stress.report.folders import folders
from pgflow_stress.report.histograms import percentile_text
from pgflow_stress.report.metric_operations import operations_of
from pgflow_stress.report.result_file import write_atomically
from pgflow_stress.report.saved import Saved


def render(saved: Sequence[Saved], metric: str | None = None) -> str:
    """One metric's distribution over the counted repetitions.

    Raises:
        UsageFault: several results (their samples are never poured together), no histograms, or no such metric.
    """
    if len(saved) > 1:
        raise UsageFault(f"one .hgrm holds one result and there are {len(saved)}: give --output FOLDER/")
    found = _histograms(saved[0])
    names = operations_of(metric or DEFAULT_METRIC, found)
    return percentile_text(merge(found[name] for name in names)).decode()


def write_all(saved: Sequence[Saved], path: Path) -> None:
    """Write OPERATION.hgrm of the counted repetitions below `path`.

    Raises:
        UsageFault: a result came without its histograms.
        RunFailed: a file could not be written.
    """
    found = [_histograms(one) for one in saved]
    for folder, histograms in zip(folders(saved, path), found, strict=True):
        for operation, histogram in histograms.items():
            write_atomically(folder / f"{operation}.hgrm", percentile_text(histogram))


def _histograms(saved: Saved) -> dict[str, Histogram]:
    found = saved.histograms()
    if not found:
        raise UsageFault(f"{saved.name}: no histograms at {saved.log}")
    return found
