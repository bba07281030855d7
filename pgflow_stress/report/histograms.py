"""Between our histograms and HdrHistogram's: the package's objects, percentile text, log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader, HistogramLogWriter

from pgflow_stress.core import hdr
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.units import NS_PER_MS, NS_PER_SECOND

SIGNIFICANT_FIGURES = 3
_TICKS_PER_HALF_DISTANCE = 5
_LEAST_HIGHEST_NS = NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class SparseHistogram:
    """A histogram without its empty buckets: what is kept of each repetition until the run ends."""

    index: np.ndarray[tuple[int], np.dtype[np.int64]]
    values: np.ndarray[tuple[int], np.dtype[np.int64]]
    size: int
    count: int
    samples: int
    total_ns: int
    max_ns: int

    @classmethod
    def of(cls, histogram: Histogram) -> SparseHistogram:
        """A copy: the arena's counts are reused by the next repetition."""
        index = np.flatnonzero(histogram.counts).astype(np.int64)
        size = int(index[-1]) + 1 if index.size else 0
        values = np.asarray(histogram.counts[index], dtype=np.int64)
        return cls(index, values, size, histogram.count, histogram.samples, histogram.total_ns, histogram.max_ns)

    def dense(self) -> Histogram:
        """With its empty buckets."""
        counts = np.zeros(self.size, dtype=np.int64)
        counts[self.index] = self.values
        return Histogram(counts, self.count, self.samples, self.total_ns, self.max_ns)


@dataclass(frozen=True, slots=True)
class Interval:
    """One operation's histogram of one repetition, with the wall clock's moments for the log."""

    operation: str
    start_unix_ns: int
    seconds: float
    histogram: SparseHistogram


def to_hdr(histogram: Histogram) -> HdrHistogram:
    """The package's own object: its bucket index is ours (core.hdr), so counts are copied as they are."""
    counts = np.asarray(histogram.counts, dtype=np.int64)
    used = np.flatnonzero(counts)
    highest = max(_LEAST_HIGHEST_NS, histogram.max_ns, int(hdr.highest_of(used[-1:])[0]) if used.size else 0)
    made = HdrHistogram(1, highest, SIGNIFICANT_FIGURES)
    if used.size:
        length = int(used[-1]) + 1
        np.ctypeslib.as_array(made.counts)[:length] = counts[:length]
        made.set_internal_tacking_values(int(used[0]), int(used[-1]), int(counts.sum()))
        made.max_value = histogram.max_ns or made.max_value
    return made


def percentile_text(histogram: Histogram) -> bytes:
    """HdrHistogram's percentile distribution (.hgrm), values in milliseconds: what its plotters expect.

    Written here because the package's takes half a second for a histogram, and leaves the deviation in nanoseconds.
    """
    used = np.flatnonzero(histogram.counts)
    cumulative = np.cumsum(histogram.counts[used])
    highest = hdr.highest_of(used)
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}\n"]
    total = int(cumulative[-1]) if used.size else 0
    for level, at in _levels(cumulative):
        lines.append(
            f"{highest[at] / NS_PER_MS:12.3f} {level / 100:2.12f} {cumulative[at]:10d} {1 / (1 - level / 100):14.2f}"
        )
    if total:
        lines.append(f"{highest[-1] / NS_PER_MS:12.3f} {1:2.12f} {total:10d}")
    mean, deviation = _moments(histogram)
    buckets = max(2, hdr.bucket_count(histogram.max_ns) // hdr.SUB_BUCKET_HALF)
    lines += [
        f"#[Mean    = {mean / NS_PER_MS:12.3f}, StdDeviation   = {deviation / NS_PER_MS:12.3f}]",
        f"#[Max     = {histogram.max_ns / NS_PER_MS:12.3f}, TotalCount     = {total:12d}]",
        f"#[Buckets = {buckets:12d}, SubBuckets     = {hdr.SUB_BUCKET_COUNT:12d}]",
    ]
    return ("\n".join(lines) + "\n").encode()


def _levels(cumulative: npt.NDArray[np.int64]) -> Iterator[tuple[float, int]]:
    """(percentile, index of the bucket that reaches it), up to the last bucket.

    The percentiles are those of HdrHistogram's own iterator (PercentileIterator.java): five to each halving of what is
    left. The Python package's drift from them, as it leaves out the rounding of the exponent.
    """
    level, last = 0.0, cumulative.size - 1
    while last >= 0:
        at = int(np.searchsorted(cumulative, level * int(cumulative[-1]) / 100))
        yield level, at
        if at == last:
            return
        halvings = int(math.log2(100 / (100 - level))) + 1
        level += 100 / (_TICKS_PER_HALF_DISTANCE * 2**halvings)


def _moments(histogram: Histogram) -> tuple[float, float]:
    """Mean and standard deviation, ns; the latter from the middles of the buckets."""
    if not histogram.count:
        return 0.0, 0.0
    used = np.flatnonzero(histogram.counts)
    middle = (hdr.lowest_of(used) + hdr.highest_of(used) + 1) / 2
    mean = histogram.total_ns / histogram.count
    variance = float(np.average((middle - mean) ** 2, weights=histogram.counts[used]))
    return mean, math.sqrt(variance)


def write_log(stream: TextIO, intervals: Iterable[Interval]) -> None:
    """HdrHistogram V2 log: a line an interval, tagged with its operation, values in ns, Interval_Max in ms.

    The package's writer has neither tags nor a working start time, so these two are written here.
    """
    ordered = sorted(intervals, key=lambda interval: interval.start_unix_ns)
    writer = HistogramLogWriter(stream)
    writer.output_comment("[pgflow-stress: one interval per counted repetition and operation; values in nanoseconds]")
    writer.output_log_format_version()
    if ordered:
        start = datetime.fromtimestamp(ordered[0].start_unix_ns / NS_PER_SECOND, UTC)
        writer.output_comment(f"[StartTime: {start.timestamp():.3f} (seconds since epoch), {start.isoformat()}]")
    writer.output_legend()
    for interval in ordered:
        start_seconds = interval.start_unix_ns / NS_PER_SECOND
        stream.write(f"Tag={interval.operation},")
        writer.output_interval_histogram(
            to_hdr(interval.histogram.dense()), start_seconds, start_seconds + interval.seconds, NS_PER_MS
        )


def read_log(path: Path) -> dict[str, list[Histogram]]:
    """Histograms by operation, one an interval, of a log that write_log made; {} where there is none.

    The log carries counts alone: maximum and sum are those of the buckets.

    Raises:
        UsageFault: it is no such log, or one of other buckets than ours.
    """
    if not path.is_file():
        return {}
    found: dict[str, list[Histogram]] = {}
    reader = HistogramLogReader(str(path), None)
    try:
        while (read := reader.get_next_interval_histogram()) is not None:
            found.setdefault(read.get_tag() or "", []).append(_from_hdr(read))
    except OSError:
        raise
    except Exception as error:  # the package lets out what it comes to: zlib's, assertions, errors of its own
        what = str(error) or type(error).__name__
        raise UsageFault(f"{path} is not a log of HdrHistogram's that can be read: {what}") from None
    finally:
        reader.close()
    return found


def _from_hdr(read: HdrHistogram) -> Histogram:
    if (read.significant_figures, read.lowest_trackable_value) != (SIGNIFICANT_FIGURES, 1):
        raise ValueError(f"its buckets are not those of 1 and {SIGNIFICANT_FIGURES} digits")
    counts = np.ctypeslib.as_array(read.counts).astype(np.int64)
    used = np.flatnonzero(counts)
    counts = counts[: int(used[-1]) + 1 if used.size else 0]
    middle = (hdr.lowest_of(used) + hdr.highest_of(used)) // 2
    total = int(counts.sum())
    return Histogram(
        counts=counts,
        count=total,
        samples=total,
        total_ns=sum(int(v) * int(c) for v, c in zip(middle, counts[used], strict=True)),
        max_ns=int(hdr.highest_of(used[-1:])[0]) if used.size else 0,
    )
