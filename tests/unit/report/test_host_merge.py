"""Directories of hosts merged: rows, histograms, parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pgflow_stress.analysis.hosts.merging import ROWS_ARE_COUNTED
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.latency import merge
from pgflow_stress.report.directory import ResultDirectory
from pgflow_stress.report.histograms import read_log
from pgflow_stress.report.host_merge import HostResult, by_repetition, merge_groups, read_hosts, together
from pgflow_stress.report.result_file import write_result
from tests.fixtures.hosts import build_host, build_part
from tests.fixtures.results import ORIGIN_NS, build_recording, build_result, build_rows


def host(name: str, **parameters: object) -> HostResult:
    return HostResult(build_host(name, [build_part(name, [5])], **parameters), {}, (Path("nowhere"),))


def test_shares_are_added_and_the_rest_is_every_hosts() -> None:
    hosts = [host("a", runs=10, stages=["30s:20", "5s:1"]), host("b", runs=11, stages=["30s:5", "5s:1.5"])]

    merged = together(hosts)

    assert (merged["workers"], merged["runs"], merged["flows"], merged["seed"]) == (4, 21, 200, 1)
    assert merged["stages"] == ["30s:25", "5s:2.5"]
    assert merged["over_hosts"] == ["a", "b"]
    assert "host_id" not in merged


def recorded(folder: Path, name: str, seed: int) -> Path:
    """The directory of one host: 800 tasks of two workers, as a run leaves it."""
    rows = [(f"pgflow-stress: worker {worker}", build_rows(400, 10 * seed + worker)) for worker in (0, 1)]
    recording = build_recording(0, parts=rows)
    part = build_part(name, np.concatenate([of["done_ns"] - of["sent_ns"] for _, of in rows]), origin_ns=ORIGIN_NS)
    tasks = recording.histograms["task"]
    directory = ResultDirectory(folder / name)
    directory.record(replace(recording, histograms={"task": tasks}))
    directory.finish(build_host(name, [part]))
    return folder / name


def test_merged_rows_and_histograms_are_those_of_all_hosts(tmp_path: Path) -> None:
    hosts = read_hosts([recorded(tmp_path, "a", 1), recorded(tmp_path, "b", 2)])
    directory = ResultDirectory(tmp_path / "both")

    result = merge_groups(by_repetition(hosts), directory, together(hosts))
    directory.finish(result)

    (repetition,) = result.repetitions
    (check,) = [one for one in repetition.audit.checks if one.name == ROWS_ARE_COUNTED]
    assert (check.ok, check.expected, check.found) == (True, 1_600, 1_600)
    files = sorted(path.name for path in (tmp_path / "both" / "timings").iterdir())
    assert files == ["repetition-00-a-part-000.parquet", "repetition-00-b-part-000.parquet"]
    logged = merge(read_log(tmp_path / "both" / "histograms" / "latencies.hlog")["task"])
    assert (logged.count, np.array_equal(logged.counts, merged_counts(hosts))) == (1_600, True)
    assert sorted(path.name for path in (tmp_path / "both" / "hosts").iterdir()) == ["00-a.json", "00-b.json"]
    assert (tmp_path / "both" / "report.html").is_file()


def merged_counts(hosts: list[HostResult]) -> npt.NDArray[np.int64]:
    return merge(host.histograms[0]["task"] for host in hosts).counts


def test_histograms_that_do_not_count_what_the_rows_say_fail_the_audit(tmp_path: Path) -> None:
    a, b = read_hosts([recorded(tmp_path, "a", 1), recorded(tmp_path, "b", 2)])

    result = merge_groups(by_repetition([a, replace(b, timings=a.timings)]), None, together([a, b]))

    assert not result.repetitions[0].audit.ok


def test_a_result_of_one_host_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    write_result(tmp_path / "alone" / "result.json", build_result())

    with pytest.raises(UsageFault, match="alone: a result was measured alone"):
        read_hosts([tmp_path / "alone"])
