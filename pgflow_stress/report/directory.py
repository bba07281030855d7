"""The result directory: made before the run, filled as repetitions end, complete with result.json.

Its layout is in report.layout.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.latency import merge
from pgflow_stress.core.recording import Histogram, Recording
from pgflow_stress.core.result import Result
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.histograms import Interval, SparseHistogram, percentile_text, write_log
from pgflow_stress.report.layout import (
    CALL_GRAPHS,
    COUNTS_FILE,
    HISTOGRAMS,
    INDEX_FILE,
    LOG_FILE,
    REPORT_FILE,
    RESULT_FILE,
    TELEMETRY_FILE,
    TIMINGS,
)
from pgflow_stress.report.result_file import write_atomically, write_index, write_result

if TYPE_CHECKING:  # it brings pyarrow
    from pgflow_stress.report.telemetry_file import Kept

_RESERVE = ".reserve"  # room that timings cannot fill, given back for result.json
_RESERVE_BYTES = 1024 * 1024


class ResultDirectory:
    """One scenario's directory, and the histograms of its repetitions until the result is there."""

    def __init__(self, path: Path) -> None:
        """Make the directory and check that it can be written to, before anything is measured.

        Raises:
            UsageFault: it cannot be made or written to, or already holds a result.
        """
        self.path = path
        self._made = make_directory(path)
        _reserve(path / _RESERVE)
        self._intervals: dict[int, list[Interval]] = {}
        self._warmups: set[int] = set()
        self._telemetry: list[Kept] = []

    def record(self, recording: Recording) -> None:
        """Write one repetition's timings, keep its histograms.

        Raises:
            RunFailed: disk full or another I/O error; what was written is kept.
        """
        # Imported here: pyarrow takes longer to load than a run may take to begin.
        from pgflow_stress.report.exports.parquet import write_timings  # noqa: PLC0415
        from pgflow_stress.report.telemetry_file import keep  # noqa: PLC0415

        self._intervals[recording.index] = [
            Interval(
                operation=operation,
                start_unix_ns=recording.origin_unix_ns,
                seconds=(recording.to_ns - recording.origin_ns) / NS_PER_SECOND,
                histogram=SparseHistogram.of(histogram),
            )
            for operation, histogram in recording.histograms.items()
            if histogram.count
        ]
        if recording.warmup:
            self._warmups.add(recording.index)
        if kept := keep(recording):
            self._telemetry.append(kept)
        write_timings(_subfolder(self.path / TIMINGS), recording)
        if recording.call_graphs is not None:
            write_atomically(self.path / CALL_GRAPHS.format(recording.index), json.dumps(recording.call_graphs))

    def subfolder(self, name: str) -> Path:
        """A folder in it, for whoever writes files otherwise than by a recording.

        Raises:
            RunFailed: it could not be made.
        """
        return _subfolder(self.path / name)

    def keep(self, index: int, warmup: bool, intervals: list[Interval]) -> None:
        """The histograms of one repetition that was recorded elsewhere."""
        self._intervals[index] = intervals
        if warmup:
            self._warmups.add(index)

    def finish(self, result: Result) -> None:
        """Write result.json first (it is what must not be lost), then histograms, telemetry and report.html.

        Raises:
            RunFailed: disk full or another I/O error; what was written is kept.
            ValueError: the result holds NaN or an infinity.
        """
        (self.path / _RESERVE).unlink(missing_ok=True)
        write_result(self.path / RESULT_FILE, result)
        intervals = self._counted_intervals(result)
        merged = merge_by_operation(intervals)
        folder = _subfolder(self.path / HISTOGRAMS)
        for operation, histogram in merged.items():
            write_atomically(folder / f"{operation}.hgrm", percentile_text(histogram))
        try:
            with (folder / LOG_FILE).open("w", encoding="utf-8") as stream:
                write_log(stream, intervals)
        except OSError as error:
            raise RunFailed(f"{folder / LOG_FILE} could not be written: {error.strerror or error}") from None
        if "host_id" in result.scenario["parameters"]:
            from pgflow_stress.report.counts_file import write_counts  # noqa: PLC0415

            write_counts(folder / COUNTS_FILE, self._intervals)
        from pgflow_stress.report.html import render_html  # noqa: PLC0415  jinja2, likewise
        from pgflow_stress.report.subject import Subject, ends_ns  # noqa: PLC0415
        from pgflow_stress.report.telemetry_file import write_telemetry  # noqa: PLC0415
        from pgflow_stress.report.timings import read_grids  # noqa: PLC0415

        write_telemetry(self.path / TELEMETRY_FILE, self._telemetry)
        grids = read_grids(sorted((self.path / TIMINGS).glob("*.parquet")), ends_ns(result))
        write_atomically(self.path / REPORT_FILE, render_html([Subject(result, merged, grids)]))

    def discard_if_empty(self) -> None:
        """Remove the directories that were made, where nothing was measured."""
        (self.path / _RESERVE).unlink(missing_ok=True)
        remove_empty(self._made)

    def _counted_intervals(self, result: Result) -> list[Interval]:
        """Of the counted repetitions; where none is counted, of those that are not warm-up."""
        counted = {repetition.index for repetition in result.repetitions if repetition.counted}
        chosen = counted & self._intervals.keys() or self._intervals.keys() - self._warmups
        return [interval for index in sorted(chosen) for interval in self._intervals[index]]


class IndexDirectory:
    """The directory of several scenarios: hands out NN-name/ folders, ends with index.json."""

    def __init__(self, path: Path) -> None:
        """Make it and check that it can be written to.

        Raises:
            UsageFault: it cannot, or already holds a result.
        """
        self.path = path
        self._made = make_directory(path)
        self._entries: list[tuple[str, str]] = []

    def folder(self, name: str) -> ResultDirectory:
        """The next scenario's directory."""
        folder = f"{len(self._entries) + 1:02d}-{name}"
        directory = ResultDirectory(self.path / folder)
        self._entries.append((name, folder))
        return directory

    def finish(self) -> None:
        """Write index.json of the folders that have a result.

        Raises:
            RunFailed: it could not be written.
        """
        write_index(self.path, [entry for entry in self._entries if (self.path / entry[1] / RESULT_FILE).is_file()])

    def discard_if_empty(self) -> None:
        """Remove the directories that were made, where nothing was measured."""
        remove_empty(self._made)


def merge_by_operation(intervals: list[Interval]) -> dict[str, Histogram]:
    """Histograms of all intervals together, by operation."""
    by_operation: dict[str, list[Histogram]] = {}
    for interval in intervals:
        by_operation.setdefault(interval.operation, []).append(interval.histogram.dense())
    return {operation: merge(histograms) for operation, histograms in by_operation.items()}


def make_directory(path: Path) -> list[Path]:
    """Make `path`; returns the directories that had to be made, outermost first.

    Raises:
        UsageFault: it cannot be written to, or already holds a result.
    """
    for name in (RESULT_FILE, INDEX_FILE, TIMINGS):
        if os.path.lexists(path / name):
            raise UsageFault(f"{path} already holds a result; give another --output, or remove it")
    missing: list[Path] = []
    try:
        missing += [folder for folder in (*reversed(path.parents), path) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        remove_empty(missing)
        raise UsageFault(f"{path} is not writable: {getattr(error, 'strerror', None) or error}") from None
    return missing


def _reserve(path: Path) -> None:
    """Keep room for the result. Where the file system cannot, the result takes its chance."""
    try:
        with path.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, _RESERVE_BYTES)
    except OSError:
        path.unlink(missing_ok=True)


def remove_empty(folders: list[Path]) -> None:
    """Innermost first; stops at the first that holds something."""
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except (FileNotFoundError, ValueError):
            continue
        except OSError:
            return


def _subfolder(path: Path) -> Path:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFailed(f"{path} could not be made: {error.strerror or error}") from None
    return path
