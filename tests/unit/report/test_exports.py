from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from pgflow_stress.cli.commands.audit import audit
from pgflow_stress.cli.commands.report import report
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Check, to_json
from pgflow_stress.report import exports
from pgflow_stress.report.directory import IndexDirectory, ResultDirectory
from pgflow_stress.report.result_file import dump, write_result
from tests.fixtures.results import (
    build_baseline,
    build_observed,
    build_observed_result,
    build_recording,
    build_repetition,
    build_result,
    lossy,
    quick_look,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    directory = ResultDirectory(tmp_path / "saved")
    for index in range(4):
        directory.record(build_recording(index, warmup=index == 0))
    directory.finish(build_result())
    return directory.path


@pytest.fixture
def several(tmp_path: Path) -> Path:
    index = IndexDirectory(tmp_path / "several")
    for result in (build_result(name="single-flow"), quick_look()):
        directory = index.folder(result.scenario["name"])
        directory.record(build_recording(1))
        directory.record(build_recording(2))
        directory.finish(result)
    index.finish()
    return index.path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments], catch_exceptions=False)


def test_folder_and_registry_name_the_same_formats() -> None:
    folder = Path(exports.__file__).parent
    modules = {f"{exports.__name__}.{file.stem}" for file in folder.glob("*.py") if file.stem != "__init__"}

    assert modules == {export.module for export in exports.EXPORTS.values()}
    for export in exports.EXPORTS.values():
        assert hasattr(import_module(export.module), "render" if export.shape == "text" else "write")


def test_json_is_the_result_and_an_array_of_several(saved: Path, several: Path) -> None:
    assert call(saved, "--format", "json").stdout == dump(to_json(build_result()))
    assert len(json.loads(call(several, "--format", "json").stdout)) == 2


def test_csv_has_a_line_a_repetition_and_metric_unrounded(saved: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call(saved, "--format", "csv").stdout)))

    found = {row["repetition"]: row for row in rows if row["metric"] == "process.per_second"}
    assert [float(found[str(r.index)]["value"]) for r in build_result().repetitions] == [
        r.phases["process"].per_second for r in build_result().repetitions
    ]
    assert (found["0"]["warmup"], found["0"]["counted"], found["0"]["unit"]) == ("1", "0", "tasks/s")
    assert {row["value"] for row in rows if row["metric"] == "create.latency_ns.p9999"} == {""}


def test_markdown_has_tables_of_equal_columns(several: Path) -> None:
    text = call(several, "--format", "md").stdout

    assert "## single-flow: valid" in text
    assert "## concurrent-flows: quick look" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in tables)
    assert len(tables) == 4


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    write_result(tmp_path / "o.json", build_observed_result(lossy(1), build_baseline(2), build_observed(3)))
    return tmp_path / "o.json"


def test_csv_has_delivery_of_observed_repetitions_and_counts_none_without_the_observer(observed: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call(observed, "--format", "csv").stdout)))

    delivered = [row for row in rows if row["metric"] == "deliver.per_second"]
    assert [(row["repetition"], row["unit"]) for row in delivered] == [("1", "events/s"), ("3", "events/s")]
    assert {row["repetition"] for row in rows if row["counted"] == "0"} == {"2"}


def test_markdown_tells_of_events_and_keeps_its_tables_whole(observed: Path) -> None:
    text = call(observed, "--format", "md").stdout

    assert "- **Events**: wal: 2,400 expected, 2,400 stored, 2,395 received, 5 missing" in text
    assert "`deliver.per_second`" in text
    assert "| delivery |" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({line.count("|") for line in table.splitlines()}) == 1 for table in tables)


def test_an_observed_result_reads_back_as_it_was_written(observed: Path) -> None:
    document = json.loads(call(observed, "--format", "json").stdout)

    assert document["repetitions"][0]["events"] == lossy(1).events


def test_html_goes_beside_the_result_unless_told_otherwise(saved: Path, tmp_path: Path) -> None:
    (saved / "report.html").unlink()

    told = call(saved)
    call(saved, "--format", "html", "--output", tmp_path / "other.html")

    assert told.exit_code == 0
    assert (saved / "report.html").read_text() == (tmp_path / "other.html").read_text()
    assert (tmp_path / "other.html").read_text().count("<svg") == 3


def test_timings_of_several_results_become_one_file(several: Path, tmp_path: Path) -> None:
    call(several, "--format", "parquet", "-o", tmp_path / "all.parquet")

    table = pq.read_table(tmp_path / "all.parquet")
    assert table.num_rows == 2 * 2 * 800
    assert table.column("result").unique().to_pylist() == ["01-single-flow", "02-concurrent-flows"]


def test_hdr_files_are_those_of_the_directory(saved: Path, several: Path, tmp_path: Path) -> None:
    call(saved, "--format", "hgrm", "-o", tmp_path / "one")
    call(several, "--format", "hgrm", "-o", tmp_path / "two")

    # Values agree, the footer's maximum is its bucket's: a log carries counts alone.
    made, kept = (
        (folder / "task.hgrm").read_text().splitlines() for folder in (tmp_path / "one", saved / "histograms")
    )
    assert [line.split()[1:] for line in made[:-3]] == [line.split()[1:] for line in kept[:-3]]
    assert (tmp_path / "two" / "02-concurrent-flows" / "execute.hgrm").is_file()
    assert call(saved, "--format", "hlog").stdout == (saved / "histograms" / "latencies.hlog").read_text()


@pytest.mark.parametrize("format_", ["hgrm", "hlog", "parquet"])
def test_a_result_that_came_alone_has_no_such_files(format_: str, tmp_path: Path) -> None:
    write_result(tmp_path / "alone.json", build_result())

    with pytest.raises(UsageFault, match=r"no histograms|no timings"):
        call(tmp_path / "alone.json", "--format", format_, "--output", tmp_path / "out")


@pytest.mark.parametrize("format_", exports.LATER_FORMATS)
def test_formats_of_later_say_so(format_: str, saved: Path) -> None:
    with pytest.raises(UsageFault, match="is not available yet"):
        call(saved, "--format", format_)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["/nonexistent"], "No such file"),
        (["SAVED", "--format", "hgrm"], "makes a folder: give --output"),
        (["SAVED", "--format", "parquet", "-o", "-"], "makes a file: give --output"),
        (["SAVED", "--format", "md", "-o", "/proc/nowhere/x"], "is not writable"),
        (["SAVED", "--format", "md", "-o", "/proc"], "is a directory"),
    ],
)
def test_what_cannot_be_is_a_usage_fault(arguments: list[str], told: str, saved: Path) -> None:
    with pytest.raises(UsageFault, match=told):
        call(*(saved if argument == "SAVED" else argument for argument in arguments))


def test_a_sound_result_passes_its_audit(saved: Path, several: Path) -> None:
    outcome = CliRunner().invoke(audit, [str(saved), str(several), "--json", "-"], catch_exceptions=False)

    assert outcome.exit_code == 0
    document = json.loads(outcome.stdout)
    assert (document["schema"], document["ok"], len(document["results"])) == ("pgflow-stress/audit/1", True, 3)


def test_a_failed_check_of_a_saved_result_is_exit_4_with_its_ids(tmp_path: Path) -> None:
    failed = Check("no message is left", False, 0, 2, ("run 1 step 2", "run 3 step 4"))
    write_result(tmp_path / "r.json", build_result([build_repetition(1, failed_check=failed)]))

    outcome = CliRunner().invoke(audit, [str(tmp_path / "r.json")], catch_exceptions=False)

    assert outcome.exit_code == 4
    assert "no message is left: expected 0, found 2 (run 1 step 2, run 3 step 4)" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to audit"),
        (["r.json", "--self-test"], "one at a time"),
        (["r.json", "--dsn", "postgresql://x"], "one at a time"),
        (["r.json", "--flow-slug", "a"], "give it with --dsn"),
        (["--self-test", "--flow-slug", "a"], "give it with --dsn"),
        (["--dsn", "postgresql://x", "--mutant", "a"], "--self-test as well"),
        (["--dsn", "postgresql://x", "--pgflow", "0.8.1"], "is for --self-test"),
        (["--self-test", "--mutant", "a defect"], "there is none"),
        (["--self-test", "--isolation", "prefix"], "a database of its own"),
    ],
)
def test_what_does_not_go_together_is_a_usage_fault_of_audit(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        CliRunner().invoke(audit, arguments, catch_exceptions=False)
