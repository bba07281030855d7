from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.report.directory import IndexDirectory, ResultDirectory
from pgflow_stress.report.exports import parquet
from pgflow_stress.report.histograms import read_log
from pgflow_stress.report.result_file import read_result
from tests.fixtures.results import ORIGIN_NS, build_recording, build_result, build_rows


def filled(path: Path) -> ResultDirectory:
    directory = ResultDirectory(path)
    for index in range(4):
        directory.record(build_recording(index, warmup=index == 0))
    return directory


def timings_of(path: Path) -> list[dict[str, Any]]:
    files = sorted(path.rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_a_finished_directory_holds_everything_and_no_leftovers(tmp_path: Path) -> None:
    filled(tmp_path / "new" / "r").finish(build_result())

    names = {str(file.relative_to(tmp_path / "new" / "r")) for file in tmp_path.rglob("*") if file.is_file()}
    assert names == {
        "result.json",
        "report.html",
        "histograms/latencies.hlog",
        *(f"histograms/{operation}.hgrm" for operation in ("task", "complete", "execute")),
        *(f"timings/repetition-0{index}-part-000.parquet" for index in range(4)),
    }
    assert read_result(tmp_path / "new" / "r") == build_result()


def test_every_row_is_written_with_stamps_from_the_origin_and_nulls_where_it_is_about_nothing(tmp_path: Path) -> None:
    ResultDirectory(tmp_path / "r").record(build_recording(1, parts=[("pgflow-stress: worker 1", build_rows(3))]))

    rows = timings_of(tmp_path / "r")

    assert len(rows) == 3
    first, source = rows[0], build_rows(3)[0]
    assert (first["sent_ns"], first["done_ns"]) == (7, int(source["done_ns"]) - ORIGIN_NS)
    assert (first["operation"], first["status"], first["process"]) == ("task", "ok", "pgflow-stress: worker 1")
    assert (first["intended_ns"], first["task_index"]) == (None, None)
    assert (first["run_index"], first["msg_id"], first["repetition"], first["warmup"]) == (0, 1, 1, False)


def test_parts_hold_no_more_rows_than_allowed_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_ROWS_A_PART", 1_000)
    monkeypatch.setattr(parquet, "ROWS_A_SLICE", 300)
    parts = [(f"pgflow-stress: worker {worker}", build_rows(n)) for worker, n in ((1, 1_700), (2, 0), (3, 850))]

    ResultDirectory(tmp_path / "r").record(build_recording(1, parts=parts))

    sizes = [pq.read_metadata(file).num_rows for file in sorted(tmp_path.rglob("*.parquet"))]
    assert max(sizes) <= 1_000
    assert sum(sizes) == 2_550
    written = [(row["process"], row["msg_id"]) for row in timings_of(tmp_path)]
    assert written == [(process, int(row["msg_id"])) for process, rows in parts for row in rows]


def test_a_repetition_without_rows_leaves_no_file(tmp_path: Path) -> None:
    ResultDirectory(tmp_path / "r").record(build_recording(1, parts=[]))

    assert timings_of(tmp_path / "r") == []


def test_the_log_has_an_interval_a_counted_repetition_and_operation(tmp_path: Path) -> None:
    filled(tmp_path / "r").finish(build_result())

    intervals = read_log(tmp_path / "r" / "histograms" / "latencies.hlog")

    assert {operation: len(histograms) for operation, histograms in intervals.items()} == {
        "task": 3,
        "complete": 3,
        "execute": 3,
    }
    expected = build_recording(1).histograms["complete"]
    assert intervals["complete"][0].count == expected.count == 6_000
    assert np.array_equal(intervals["complete"][0].counts, expected.counts)


def test_the_percentile_text_covers_the_counted_repetitions_in_milliseconds(tmp_path: Path) -> None:
    filled(tmp_path / "r").finish(build_result())

    lines = (tmp_path / "r" / "histograms" / "complete.hgrm").read_text().splitlines()

    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert lines[-4].split()[1:] == ["1.000000000000", "18000"]
    largest_ms = max(build_recording(i).histograms["complete"].max_ns for i in (1, 2, 3)) / 1e6
    assert float(lines[-4].split()[0]) == pytest.approx(largest_ms, rel=1e-3)
    deviation_ms = float(lines[-3].rpartition("=")[2].rstrip("]"))
    assert 0 < deviation_ms < largest_ms


def test_where_nothing_counts_the_interrupted_repetition_is_written(tmp_path: Path) -> None:
    directory, result = filled(tmp_path / "r"), build_result()
    interrupted = tuple(replace(repetition, interrupted=True) for repetition in result.repetitions)

    directory.finish(replace(result, repetitions=interrupted))

    assert len(read_log(tmp_path / "r" / "histograms" / "latencies.hlog")["task"]) == 3


@pytest.mark.parametrize("path", ["/proc/nowhere", "/dev/null/r", "/proc/self/r\0"])
def test_a_place_that_cannot_be_written_to_is_refused_before_the_run(path: str) -> None:
    with pytest.raises(UsageFault, match="is not writable"):
        ResultDirectory(Path(path))


@pytest.mark.parametrize("name", ["result.json", "index.json", "timings"])
def test_an_older_result_is_never_mixed_with_a_new_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(UsageFault, match="already holds a result"):
        ResultDirectory(tmp_path)


def test_directories_made_for_nothing_are_removed_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()

    ResultDirectory(tmp_path / "kept" / "a" / "b").discard_if_empty()
    ResultDirectory(tmp_path / "kept").discard_if_empty()

    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["kept"]


def test_what_was_measured_is_not_discarded(tmp_path: Path) -> None:
    directory = filled(tmp_path / "r")

    directory.discard_if_empty()

    assert len(timings_of(tmp_path)) == 3_200


def test_an_io_error_midway_is_a_failed_run_that_keeps_whole_parts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MOST_ROWS_A_PART", 400)

    def failing() -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        yield "pgflow-stress: worker 1", build_rows(400)
        yield "pgflow-stress: worker 2", build_rows(200)
        raise OSError(28, "No space left on device")

    recording = replace(build_recording(1), rows=failing)

    with pytest.raises(RunFailed, match="No space left on device"):
        ResultDirectory(tmp_path / "r").record(recording)

    assert [file.name for file in tmp_path.rglob("*.parquet")] == ["repetition-01-part-000.parquet"]
    assert len(timings_of(tmp_path)) == 400


def test_room_for_the_result_is_kept_until_it_is_written(tmp_path: Path) -> None:
    directory = ResultDirectory(tmp_path / "r")
    kept = [file.stat().st_size for file in (tmp_path / "r").iterdir()]

    directory.finish(build_result())

    assert kept == [1 << 20]
    assert "result.json" in {file.name for file in (tmp_path / "r").iterdir()}
    assert ".reserve" not in {file.name for file in (tmp_path / "r").iterdir()}


def test_several_scenarios_have_a_folder_each_and_an_index_of_those_that_ended(tmp_path: Path) -> None:
    index = IndexDirectory(tmp_path / "all")
    results = [build_result(name=name) for name in ("single-flow", "concurrent-flows")]
    for result in results:
        index.folder(result.scenario["name"]).finish(result)
    never_ended = index.folder("never-ended")

    index.finish()
    never_ended.discard_if_empty()

    assert read_result(tmp_path / "all") == results
    assert (tmp_path / "all" / "02-concurrent-flows" / "result.json").is_file()
