"""Timings as Parquet: a row an event, in parts of at most a million rows, never more than a slice in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.operations import OPERATION_NAMES, STATUS_NAMES
from pgflow_stress.core.recording import Recording
from pgflow_stress.report.exports import DEFAULT_METRIC
from pgflow_stress.report.folders import folders
from pgflow_stress.report.metric_operations import operations_of
from pgflow_stress.report.saved import Saved, folder_names

MOST_ROWS_A_PART = 1_000_000
ROWS_A_SLICE = 65_536  # 4 MiB of the arena, and a row group

_NAME = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("repetition", pa.int32(), nullable=False),
        pa.field("warmup", pa.bool_(), nullable=False),
        pa.field("process", _NAME, nullable=False),  # process title
        pa.field("operation", _NAME, nullable=False),
        pa.field("status", _NAME, nullable=False),
        pa.field("intended_ns", pa.int64()),  # from the repetition's origin, as the next two; null: nothing scheduled
        pa.field("sent_ns", pa.int64()),
        pa.field("done_ns", pa.int64()),  # null: never answered
        pa.field("msg_id", pa.int64()),  # null, here and below: the row is not about one
        pa.field("flow_index", pa.int32()),
        pa.field("run_index", pa.int32()),
        pa.field("step_index", pa.int32()),
        pa.field("task_index", pa.int32()),
        pa.field("batch", pa.int32()),
        pa.field("items", pa.int32(), nullable=False),
    ],
    metadata={"times": "nanoseconds, CLOCK_MONOTONIC, from the repetition's origin"},
)
_STAMPS = ("intended_ns", "sent_ns", "done_ns")
_PLACES = ("msg_id", "flow_index", "run_index", "step_index", "task_index", "batch")

Rows = npt.NDArray[np.void]


def write(saved: Sequence[Saved], path: Path, metric: str | None = None) -> None:
    """Put one metric's timings of all results into one file, with a column `result` before the others: NN-name.

    Raises:
        UsageFault: a result came without its timings, they cannot be read, or none are of that metric.
        RunFailed: the file could not be written; what stood there before is untouched.
    """
    parts = [_parts(one) for one in saved]
    names = operations_of(metric or DEFAULT_METRIC, _recorded(parts))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    schema = SCHEMA.insert(0, pa.field("result", _NAME, nullable=False))
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for name, files in zip(folder_names(saved), parts, strict=True):
                for batch in _saved_batches(files):
                    chosen = batch.filter(pc.is_in(batch.column("operation"), pa.array(names)))
                    result = pa.DictionaryArray.from_arrays(np.zeros(len(chosen), dtype=np.int16), [name])
                    writer.write_batch(pa.RecordBatch.from_arrays([result, *chosen.columns], schema=schema))
        temporary.replace(path)
    except (OSError, UsageFault) as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, UsageFault):
            raise
        raise RunFailed(f"{path} could not be written: {error.strerror or error}") from None


def write_all(saved: Sequence[Saved], path: Path) -> None:
    """Every part of the timings, as it was written.

    Raises:
        UsageFault: a result came without its timings.
        RunFailed: a file could not be written.
    """
    parts = [_parts(one) for one in saved]
    for folder, files in zip(folders(saved, path), parts, strict=True):
        for file in files:
            try:
                if folder.resolve() != file.parent.resolve():
                    shutil.copyfile(file, folder / file.name)
            except OSError as error:
                raise RunFailed(f"{folder / file.name} could not be written: {error.strerror or error}") from None


def _parts(saved: Saved) -> list[Path]:
    files = saved.timings()
    if not files:
        raise UsageFault(f"{saved.name}: no timings below {saved.folder}")
    return files


def _recorded(parts: Sequence[Sequence[Path]]) -> set[str]:
    """Every operation that has rows."""
    found: set[str] = set()
    for file in (file for files in parts for file in files):
        try:
            with pq.ParquetFile(file) as reader:
                for batch in reader.iter_batches(columns=["operation"]):
                    found.update(pc.unique(batch.column("operation")).to_pylist())
        except (OSError, pa.ArrowException) as error:
            raise UsageFault(f"cannot read {file}: {' '.join(str(error).split())}") from None
    return found


def _saved_batches(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    for file in files:
        try:
            with pq.ParquetFile(file) as reader:
                for batch in reader.iter_batches(batch_size=ROWS_A_SLICE):
                    yield batch.cast(SCHEMA)
        except (OSError, pa.ArrowException) as error:
            raise UsageFault(f"cannot read {file}: {' '.join(str(error).split())}") from None


def write_timings(directory: Path, recording: Recording) -> int:
    """Write one repetition's rows; returns how many.

    Files are `repetition-RR-part-PPP.parquet`, each whole where it is there: one that could not be finished is removed.

    Raises:
        RunFailed: disk full or another I/O error; parts already finished stay.
    """
    slices = _slices(recording)
    written = part = 0
    pending = next(slices, None)
    while pending is not None:
        path = directory / f"repetition-{recording.index:02d}-part-{part:03d}.parquet"
        try:
            with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
                rows_in_part = 0
                while pending is not None and rows_in_part + len(pending[1]) <= MOST_ROWS_A_PART:
                    writer.write_batch(_batch(recording, *pending))
                    rows_in_part += len(pending[1])
                    pending = next(slices, None)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise RunFailed(f"timings could not be written to {path}: {error.strerror or error}") from None
        written, part = written + rows_in_part, part + 1
    pa.default_memory_pool().release_unused()
    return written


def _slices(recording: Recording) -> Iterator[tuple[str, Rows]]:
    for process, rows in recording.rows():
        for start in range(0, len(rows), ROWS_A_SLICE):
            yield process, rows[start : start + ROWS_A_SLICE]


def _batch(recording: Recording, process: str, rows: Rows) -> pa.RecordBatch:
    n = len(rows)
    columns = {
        "repetition": pa.array(np.full(n, recording.index, dtype=np.int32)),
        "warmup": pa.array(np.full(n, recording.warmup)),
        "process": pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int16), [process]),
        "operation": _names(rows["operation"], OPERATION_NAMES),
        "status": _names(rows["status"], STATUS_NAMES),
        "items": pa.array(np.ascontiguousarray(rows["items"])),
    }
    for name in _STAMPS:
        stamps = np.ascontiguousarray(rows[name])
        columns[name] = pa.array(stamps - recording.origin_ns, mask=stamps <= 0)
    for name in _PLACES:
        places = np.ascontiguousarray(rows[name])
        columns[name] = pa.array(places, mask=places < 0)
    return pa.RecordBatch.from_arrays([columns[field.name] for field in SCHEMA], schema=SCHEMA)


def _names(codes: npt.NDArray[np.int16], names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.ascontiguousarray(codes), list(names))
