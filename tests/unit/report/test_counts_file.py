"""counts.parquet keeps histograms exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.latency import histogram_of
from pgflow_stress.report.counts_file import read_counts, write_counts
from pgflow_stress.report.histograms import Interval, SparseHistogram
from tests.fixtures.results import drawn_latencies_ns


def test_what_is_written_is_read_back_to_the_last_bucket(tmp_path: Path) -> None:
    histograms = {
        (repetition, operation): histogram_of(drawn_latencies_ns(300, repetition), np.full(300, weight))
        for repetition in (0, 3)
        for operation, weight in (("task", 1), ("start_flow", 20))
    }
    intervals: dict[int, list[Interval]] = {}
    for (repetition, operation), histogram in histograms.items():
        intervals.setdefault(repetition, []).append(Interval(operation, 5, 1.0, SparseHistogram.of(histogram)))

    write_counts(tmp_path / "counts.parquet", intervals)
    found = read_counts(tmp_path / "counts.parquet")

    assert {(r, o) for r, of in found.items() for o in of} == set(histograms)
    for (repetition, operation), histogram in histograms.items():
        read = found[repetition][operation]
        assert np.array_equal(read.counts, histogram.counts)
        assert (read.count, read.samples, read.total_ns, read.max_ns) == (
            histogram.count, histogram.samples, histogram.total_ns, histogram.max_ns,
        )  # fmt: skip


def test_a_file_that_is_not_there_or_none_of_ours_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "counts.parquet").write_bytes(b"PAR1 and then nothing")

    for path in (tmp_path / "counts.parquet", tmp_path / "absent.parquet"):
        with pytest.raises(UsageFault, match="no exact histograms in ") as told:
            read_counts(path)
        assert "\n" not in str(told.value)
