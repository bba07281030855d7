"""A result together with the folder that holds its histograms and timings, as `report` reads it back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.latency import merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Result
from pgflow_stress.report.histograms import read_log
from pgflow_stress.report.layout import HISTOGRAMS, LOG_FILE, TIMINGS
from pgflow_stress.report.result_file import read_located

_UNFIT = re.compile(r"[^\w.-]+", re.ASCII)
_MOST_CHARACTERS = 80  # of a folder's name


@dataclass(frozen=True, slots=True)
class Saved:
    """One result and its folder."""

    result: Result
    folder: Path

    @property
    def name(self) -> str:
        """The scenario's."""
        return str(self.result.scenario["name"])

    @property
    def log(self) -> Path:
        """Its HdrHistogram log, which need not be there."""
        return self.folder / HISTOGRAMS / LOG_FILE

    def histograms(self) -> dict[str, Histogram]:
        """By operation, over the counted repetitions; {} where the result came alone."""
        return {operation: merge(parts) for operation, parts in read_log(self.log).items()}

    def timings(self) -> list[Path]:
        """Its Parquet parts, in order; [] where the result came alone."""
        return sorted((self.folder / TIMINGS).glob("*.parquet"))


def load(paths: Sequence[Path]) -> list[Saved]:
    """Read results, directories, indexes and arrays.

    Raises:
        UsageFault: one cannot be read, or there is none in them.
    """
    saved = [Saved(result, folder) for path in paths for folder, result in read_located(path)]
    if not saved:
        raise UsageFault(f"no result in {', '.join(map(str, paths))}")
    return saved


def folder_names(saved: Sequence[Saved]) -> list[str]:
    """NN-name of each; the name is a file's word and becomes no path of its own."""
    names = (_UNFIT.sub("-", one.name)[:_MOST_CHARACTERS] for one in saved)
    return [f"{number:02d}-{name}" for number, name in enumerate(names, 1)]
