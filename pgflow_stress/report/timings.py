"""Timings reduced to what a screen shows: tasks by time and latency, read from Parquet in parts, in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.operations import Operation

COLUMNS = 200  # bins of time: a screen shows no more
ROWS_PER_OCTAVE = 4
ROWS = 42 * ROWS_PER_OCTAVE  # of latency, each 1.19 times the one below; the last begins at an hour
_ROWS_A_READ = 1 << 18
_COLUMNS_READ = ["repetition", "operation", "sent_ns", "done_ns"]
_TASK = Operation.TASK.name.lower()
_UNSET = np.iinfo(np.int64).max

Grid = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TaskGrid:
    """One repetition's tasks by when they were completed. A column is end_ns / COLUMNS wide, from the origin on.

    `counts` is int64[COLUMNS, ROWS]; `lowest_ns` and `highest_ns` int64[COLUMNS], 0 where a column has no task.
    """

    end_ns: int
    counts: Grid
    lowest_ns: Grid
    highest_ns: Grid

    @property
    def completed(self) -> Grid:
        """Tasks by column, int64[COLUMNS]."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """The middle of each column, from the repetition's origin."""
        return (np.arange(COLUMNS) + 0.5) * self.end_ns / COLUMNS / 1e9


def row_floor_ns(row: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The lowest latency of a row."""
    return np.exp2(np.asarray(row, dtype=np.float64) / ROWS_PER_OCTAVE)


def read_grids(files: Iterable[Path], ends_ns: Mapping[int, int]) -> dict[int, TaskGrid]:
    """The tasks of these repetitions; of one that has no rows there is no grid.

    Args:
        files: Parquet parts, as exports.parquet writes them.
        ends_ns: by repetition, where its window ends; others are not read.
    Raises:
        UsageFault: a file cannot be read, or lacks a column.
    """
    found: dict[int, TaskGrid] = {}
    for file in files:
        try:
            with pq.ParquetFile(file) as reader:
                for batch in reader.iter_batches(_ROWS_A_READ, columns=_COLUMNS_READ):
                    _add(found, batch, ends_ns)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UsageFault(f"cannot read {file}: {' '.join(str(error).split())}") from None
    return {index: _finished(grid) for index, grid in sorted(found.items())}


def _add(found: dict[int, TaskGrid], batch: pa.RecordBatch, ends_ns: Mapping[int, int]) -> None:
    repetition = batch.column("repetition").to_numpy()
    sent, done = (pc.fill_null(batch.column(name), -1).to_numpy() for name in ("sent_ns", "done_ns"))
    answered = _is_task(batch.column("operation")) & (done >= sent) & (sent >= 0)
    for index in _values(repetition):
        end_ns = ends_ns.get(index, 0)
        if end_ns > 0:
            chosen = answered & (repetition == index)
            if chosen.any():
                _count(found.setdefault(index, _empty(end_ns)), sent[chosen], done[chosen])


def _values(repetition: npt.NDArray[np.int32]) -> list[int]:
    """Which are there: mostly one, as each repetition has parts of its own."""
    if not repetition.size:
        return []
    low, high = int(repetition.min()), int(repetition.max())
    return [low] if low == high else [int(index) for index in np.unique(repetition)]


def _is_task(names: pa.DictionaryArray) -> npt.NDArray[np.bool_]:
    """By the code in the batch's own dictionary: comparing words takes ten times as long."""
    words = names.dictionary.to_pylist()
    if _TASK not in words:
        return np.zeros(len(names), dtype=np.bool_)
    return np.asarray(names.indices.to_numpy() == words.index(_TASK))


def _empty(end_ns: int) -> TaskGrid:
    return TaskGrid(
        end_ns,
        np.zeros((COLUMNS, ROWS), dtype=np.int64),
        np.full(COLUMNS, _UNSET, dtype=np.int64),
        np.zeros(COLUMNS, dtype=np.int64),
    )


def _count(grid: TaskGrid, sent: npt.NDArray[np.int64], done: npt.NDArray[np.int64]) -> None:
    latency = done - sent
    column = np.minimum(done * (COLUMNS / grid.end_ns), COLUMNS - 1).astype(np.int64)
    row = (np.log2(np.maximum(latency, 1).astype(np.float32)) * ROWS_PER_OCTAVE).astype(np.int64)
    cells = np.bincount(column * ROWS + np.minimum(row, ROWS - 1), minlength=COLUMNS * ROWS)
    grid.counts[:] += cells.reshape(COLUMNS, ROWS)
    np.minimum.at(grid.lowest_ns, column, latency)
    np.maximum.at(grid.highest_ns, column, latency)


def _finished(grid: TaskGrid) -> TaskGrid:
    return TaskGrid(grid.end_ns, grid.counts, np.where(grid.lowest_ns == _UNSET, 0, grid.lowest_ns), grid.highest_ns)
