"""telemetry.parquet: the series of all repetitions in one long table, a row a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.telemetry import Telemetry

_NAME = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("repetition", pa.int32(), nullable=False),
        pa.field("warmup", pa.bool_(), nullable=False),
        pa.field("t_ns", pa.int64(), nullable=False),  # from the repetition's origin; below 0 before it
        pa.field("role", _NAME, nullable=False),
        pa.field("subject", _NAME, nullable=False),
        pa.field("metric", _NAME, nullable=False),  # ..._total: a counter; else a gauge
        pa.field("value", pa.float64(), nullable=False),
        pa.field("unit", _NAME, nullable=False),
    ],
    metadata={"times": "nanoseconds, CLOCK_MONOTONIC, from the repetition's origin"},
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One repetition's, until the table is written."""

    index: int
    warmup: bool
    origin_ns: int
    telemetry: Telemetry


def keep(recording: Recording) -> Kept | None:
    """What of a recording goes into the table; None where it has no telemetry."""
    if recording.telemetry is None:
        return None
    return Kept(recording.index, recording.warmup, recording.origin_ns, recording.telemetry)


def write_telemetry(path: Path, kept: Sequence[Kept]) -> None:
    """Write the table; none where there is nothing to write.

    Raises:
        RunFailed: disk full or another I/O error; nothing half written is left.
    """
    if not kept:
        return
    try:
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for one in kept:
                writer.write_table(_table(one))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RunFailed(f"{path} could not be written: {error.strerror or error}") from None


def _table(one: Kept) -> pa.Table:
    points, series = one.telemetry.points, one.telemetry.series
    n, places = len(points), np.ascontiguousarray(points["series"])
    columns = {
        "repetition": pa.array(np.full(n, one.index, dtype=np.int32)),
        "warmup": pa.array(np.full(n, one.warmup)),
        "t_ns": pa.array(points["t_ns"] - one.origin_ns),
        "value": pa.array(np.ascontiguousarray(points["value"])),
    }
    for name in ("role", "subject", "metric", "unit"):
        texts, of_series = np.unique([getattr(one_series, name) for one_series in series], return_inverse=True)
        columns[name] = pa.DictionaryArray.from_arrays(of_series[places].astype(np.int32), texts.tolist())
    return pa.table([columns[field.name] for field in SCHEMA], schema=SCHEMA)
