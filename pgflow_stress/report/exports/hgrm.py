"""Percentile distributions (.hgrm) of saved results, one file an operation, milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.report.histograms import percentile_text
from pgflow_stress.report.result_file import write_atomically
from pgflow_stress.report.saved import Saved, folder_names


def write(saved: Sequence[Saved], path: Path) -> None:
    """Write OPERATION.hgrm of the counted repetitions below `path`.

    Raises:
        UsageFault: a result came without its histograms.
        RunFailed: a file could not be written.
    """
    found = [one.histograms() for one in saved]
    for one, histograms in zip(saved, found, strict=True):
        if not histograms:
            raise UsageFault(f"{one.name}: no histograms at {one.log}")
    for name, histograms in zip(folder_names(saved), found, strict=True):
        folder = path if len(saved) == 1 else path / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFailed(f"{folder} could not be made: {error.strerror or error}") from None
        for operation, histogram in histograms.items():
            write_atomically(folder / f"{operation}.hgrm", percentile_text(histogram))
