"""The timings of several hosts on one clock: each host's rows in files of its own, moved and not changed otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgflow_stress.analysis.hosts.merging import ROWS_ARE_COUNTED, FromRows
from pgflow_stress.analysis.hosts.part import Part
from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.host_clock import HostClock
from pgflow_stress.core.latency import empty_histogram, histogram_of, merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Check, Phase
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.exports.parquet import ROWS_A_SLICE, SCHEMA

_STAMPS = ("intended_ns", "sent_ns", "done_ns")
_TASK, _OK = "task", "ok"
_COMPLETED = ("ok", "adopted", "settled")  # of a task's row
_MOST_BINS = 100
_LEAST_BIN_SECONDS = 0.05

Stamps = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Seen:
    """What was read of all rows of a repetition."""

    tasks: Histogram = field(default_factory=empty_histogram)
    done_ns: list[Stamps] = field(default_factory=list)
    rows: int = 0


def move_rows(
    part: Part, files: Sequence[Path], zero_ns: int, index: int, to: Path | None, seen: _Seen | None = None
) -> _Seen:
    """Write one host's rows of a repetition with their stamps on the shared clock, from `zero_ns` on.

    A row's stamps are moved by one distance, so its durations stay what that host's clock said.

    Args:
        part: the host's repetition.
        files: its Parquet parts.
        zero_ns: the merged repetition's origin, by the shared clock.
        index: of the merged repetition.
        to: the folder; None: they are only read.
        seen: of the hosts before; it is added to.
    Raises:
        UsageFault: they cannot be read.
        RunFailed: they cannot be written.
    """
    seen = seen or _Seen()
    for number, file in enumerate(files):
        path = to / f"repetition-{index:02d}-{part.host}-part-{number:03d}.parquet" if to else None
        try:
            _move_file(part, file, zero_ns, index, path, seen)
        except pa.ArrowException as error:
            raise UsageFault(f"cannot read {file}: {' '.join(str(error).split())}") from None
        except OSError as error:
            if path is not None:
                path.unlink(missing_ok=True)
            raise RunFailed(f"{path or file}: {error.strerror or error}") from None
    return seen


def _move_file(part: Part, file: Path, zero_ns: int, index: int, path: Path | None, seen: _Seen) -> None:
    with pq.ParquetFile(file) as reader:
        writer = pq.ParquetWriter(path, SCHEMA, compression="zstd") if path else None
        try:
            for batch in reader.iter_batches(batch_size=ROWS_A_SLICE):
                moved = _moved(batch.cast(SCHEMA), part, zero_ns, index)
                _look(moved, seen)
                if writer is not None:
                    writer.write_batch(moved)
        finally:
            if writer is not None:
                writer.close()


def _moved(batch: pa.RecordBatch, part: Part, zero_ns: int, index: int) -> pa.RecordBatch:
    stamps = {name: batch.column(name) for name in _STAMPS}
    at = pc.coalesce(stamps["sent_ns"], stamps["done_ns"], stamps["intended_ns"], pa.scalar(0, pa.int64()))
    distance = distances_ns(part.clock, part.origin_ns, np.asarray(at.to_numpy(zero_copy_only=False))) - zero_ns
    columns = {name: pc.add(column, pa.array(distance)) for name, column in stamps.items()}
    process = batch.column("process")
    titles = [f"{part.host}: {title}" for title in process.dictionary.to_pylist()]
    columns["process"] = pa.DictionaryArray.from_arrays(process.indices, titles)
    columns["repetition"] = pa.array(np.full(len(batch), index, dtype=np.int32))
    return pa.RecordBatch.from_arrays([columns.get(one.name, batch.column(one.name)) for one in SCHEMA], schema=SCHEMA)


def distances_ns(clock: HostClock, origin_ns: int, at_ns: Stamps) -> Stamps:
    """By how much stamps that count from a host's origin are to be moved to be the shared clock's."""
    span_ns = clock.after.at_ns - clock.before.at_ns
    distance = np.full(len(at_ns), origin_ns + clock.before.offset_ns, dtype=np.int64)
    if span_ns > 0:
        drift_ns = clock.after.offset_ns - clock.before.offset_ns
        passed = (at_ns + (origin_ns - clock.before.at_ns)).astype(np.float64)
        distance += np.floor(passed * (drift_ns / span_ns)).astype(np.int64)
    return distance


def _look(batch: pa.RecordBatch, seen: _Seen) -> None:
    seen.rows += len(batch)
    is_task = pc.equal(batch.column("operation").cast(pa.string()), _TASK)
    tasks = batch.filter(is_task)
    if not len(tasks):
        return
    status = tasks.column("status").cast(pa.string())
    timed = tasks.filter(pc.equal(status, _OK))
    sent, done = (timed.column(name).to_numpy(zero_copy_only=False) for name in ("sent_ns", "done_ns"))
    seen.tasks = merge([seen.tasks, histogram_of(np.asarray(done - sent, dtype=np.int64))])
    completed = tasks.filter(pc.is_in(status, pa.array(_COMPLETED)))
    seen.done_ns.append(np.asarray(completed.column("done_ns").to_numpy(zero_copy_only=False), dtype=np.int64))


def from_rows(seen: _Seen, parts: Sequence[Part], process: Phase) -> FromRows:
    """The series of completions over all hosts, and whether the histograms count what the rows say."""
    merged = merge(part.histograms[_TASK] for part in parts if _TASK in part.histograms)
    whole = not any(part.repetition.client.get("rows_left_out") for part in parts)
    check = None
    if whole:
        equal = (
            np.array_equal(np.trim_zeros(merged.counts, "b"), np.trim_zeros(seen.tasks.counts, "b"))
            and merged.total_ns == seen.tasks.total_ns
            and merged.max_ns == seen.tasks.max_ns
        )
        check = Check(ROWS_ARE_COUNTED, bool(equal), merged.count, seen.tasks.count)
    return FromRows(_series(seen, parts, process) if whole else {"complete": False, "completed": []}, check)


def _series(seen: _Seen, parts: Sequence[Part], process: Phase) -> dict[str, object]:
    if process.from_ns is None or process.to_ns is None:
        return {"bin_seconds": None, "completed": [], "first_idle_seconds": None, "complete": False}
    length_ns = process.to_ns - process.from_ns
    bins = max(1, min(_MOST_BINS, int(length_ns / (_LEAST_BIN_SECONDS * NS_PER_SECOND))))
    completed = np.zeros(bins, dtype=np.int64)
    for done_ns in seen.done_ns:
        places = (done_ns - process.from_ns) * bins // length_ns
        completed += np.bincount(np.clip(places, 0, bins - 1), minlength=bins)
    return {
        "bin_seconds": process.seconds / bins,
        "completed": completed.tolist(),
        "first_idle_seconds": min(_idle_seconds(parts, process), default=None),
        "complete": int(completed.sum()) == process.count,
    }


def _idle_seconds(parts: Sequence[Part], process: Phase) -> Iterator[float]:
    """When the first worker of a host was idle, from the merged phase's begin: a host that ended early idles too."""
    assert process.from_ns is not None and process.to_ns is not None
    zero = min(part.server_ns(0) for part in parts)
    for part in parts:
        mine = part.repetition.phases["process"]
        if mine.from_ns is None or mine.to_ns is None:
            continue
        idle = (part.repetition.client.get("series") or {}).get("first_idle_seconds")
        at_ns = mine.to_ns if idle is None else mine.from_ns + round(idle * NS_PER_SECOND)
        seconds = (part.server_ns(at_ns) - zero - process.from_ns) / NS_PER_SECOND
        if 0 < seconds < process.seconds:
            yield seconds
