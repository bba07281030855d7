"""counts.parquet: the histograms of one host's repetitions bucket by bucket, with what buckets cannot give.

A log of HdrHistogram has counts alone. To merge hosts exactly it takes the number of statements, the sum and the
maximum as well, and of warm-ups too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.recording import Histogram
from pgflow_stress.report.histograms import Interval, SparseHistogram

_NAME = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("repetition", pa.int32(), nullable=False),
        pa.field("operation", _NAME, nullable=False),
        pa.field("bucket", pa.int64(), nullable=False),  # of core.hdr
        pa.field("count", pa.int64(), nullable=False),
    ]
)
_SCALARS = b"scalars"  # key of the metadata: [repetition, operation, size, count, samples, total_ns, max_ns]

Histograms = dict[int, dict[str, Histogram]]  # by repetition and operation


def write_counts(path: Path, intervals: Mapping[int, Sequence[Interval]]) -> None:
    """Write the histograms of all repetitions.

    Raises:
        RunFailed: disk full or another I/O error; nothing half written is left.
    """
    scalars, tables = [], []
    for repetition, of_repetition in sorted(intervals.items()):
        for interval in of_repetition:
            sparse = interval.histogram
            scalars.append(
                [repetition, interval.operation, sparse.size, sparse.count, sparse.samples, sparse.total_ns,
                 sparse.max_ns]
            )  # fmt: skip
            n = len(sparse.index)
            columns = [
                pa.array(np.full(n, repetition, dtype=np.int32)),
                pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int16), [interval.operation]),
                pa.array(sparse.index),
                pa.array(sparse.values),
            ]
            tables.append(pa.table(columns, schema=SCHEMA))
    schema = SCHEMA.with_metadata({_SCALARS: json.dumps(scalars).encode()})
    try:
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RunFailed(f"{path} could not be written: {error.strerror or error}") from None


def read_counts(path: Path) -> Histograms:
    """Read them back, as they were recorded.

    Raises:
        UsageFault: the file is not there, or none of ours.
    """
    try:
        table = pq.read_table(path)
        scalars = json.loads((table.schema.metadata or {})[_SCALARS])
        repetitions = table.column("repetition").to_numpy()
        operations = np.asarray(table.column("operation").cast(pa.string()).to_pylist(), dtype=object)
        buckets, counts = (table.column(name).to_numpy() for name in ("bucket", "count"))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise UsageFault(f"no exact histograms in {path}: {' '.join(str(error).split())}") from None
    found: Histograms = {}
    for repetition, operation, size, count, samples, total_ns, max_ns in scalars:
        chosen = (repetitions == repetition) & (operations == operation)
        sparse = SparseHistogram(buckets[chosen], counts[chosen], size, count, samples, total_ns, max_ns)
        if int(counts[chosen].sum()) != count:
            raise UsageFault(f"{path}: {operation} of repetition {repetition} does not add up")
        found.setdefault(repetition, {})[operation] = sparse.dense()
    return found
