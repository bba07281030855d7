from __future__ import annotations

import csv
import io
import json
import shutil
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from lxml import etree
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pgflow_stress.cli.commands.audit import audit
from pgflow_stress.cli.commands.report import report
from pgflow_stress.cli.main import run_command_line
from pgflow_stress.core import hdr
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import Check, to_json
from pgflow_stress.report import exports
from pgflow_stress.report.directory import IndexDirectory, ResultDirectory
from pgflow_stress.report.result_file import dump, write_result
from pgflow_stress.report.saved import load
from tests.fixtures.hostile import hostile_result
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
        module = import_module(export.module)
        assert hasattr(module, "render" if export.shape == "text" else "write")
        assert hasattr(module, "write_all") == export.folder


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
    assert '"r1-heat-heat":' in (tmp_path / "other.html").read_text()


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


@pytest.mark.parametrize("format_", ["hgrm", "hlog"])
def test_histograms_that_are_noise_are_told_by_their_file(format_: str, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "noise")
    (tmp_path / "noise" / "histograms" / "latencies.hlog").write_bytes(b"\xac" * 100)

    with pytest.raises(UsageFault, match=r"latencies\.hlog"):
        call(tmp_path / "noise", "--format", format_, "--output", tmp_path / "out.x")


@pytest.mark.parametrize("format_", ["hgrm", "hlog", "parquet"])
def test_a_result_that_came_alone_has_no_such_files(format_: str, tmp_path: Path) -> None:
    write_result(tmp_path / "alone.json", build_result())

    for output in ("out.x", "out/"):
        with pytest.raises(UsageFault, match=r"no histograms|no timings"):
            call(tmp_path / "alone.json", "--format", format_, "--output", f"{tmp_path}/{output}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["/nonexistent"], "No such file"),
        ([], "takes a RESULT, or --index DIR"),
        (["SAVED", "--index", "/tmp"], "takes no RESULT"),
        (["--index", "/proc/self/fd"], "no result that can be read"),
        (["SAVED", "--format", "md", "--metric", "process"], "--metric is not for --format md"),
        (["SAVED", "--format", "hgrm", "--metric", "deliver"], "there are complete, "),
        (["SAVED", "--format", "csv", "--metric", "nothing"], "no repetition has it"),
        (["SAVED", "--format", "hgrm", "--metric", "task", "-o", "/tmp/"], "a directory gets all"),
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


def test_a_single_hgrm_or_parquet_file_holds_one_metric(saved: Path, tmp_path: Path) -> None:
    default = call(saved, "--format", "hgrm").stdout
    call(saved, "--format", "hgrm", "--metric", "execute.latency_ns.p99", "-o", tmp_path / "e.hgrm")
    call(saved, "--format", "parquet", "--metric", "task", "-o", tmp_path / "t.parquet")

    kept = saved / "histograms"
    assert default.splitlines()[:-3] == (kept / "task.hgrm").read_text().splitlines()[:-3]
    assert (tmp_path / "e.hgrm").read_text().splitlines()[:-3] == (kept / "execute.hgrm").read_text().splitlines()[:-3]
    assert set(pq.read_table(tmp_path / "t.parquet").column("operation").to_pylist()) == {"task"}
    rows = list(csv.DictReader(io.StringIO(call(saved, "--format", "csv", "--metric", "process.latency_ns").stdout)))
    assert {row["metric"].rpartition(".")[0] for row in rows} == {"process.latency_ns"}


def test_hdr_files_are_read_by_hdrhistogram_with_the_percentiles_of_the_result(saved: Path, tmp_path: Path) -> None:
    call(saved, "--format", "hlog", "-o", tmp_path / "x.hlog")
    call(saved, "--format", "hgrm", "-o", tmp_path / "x.hgrm")
    own = load([saved])[0].histograms()["task"]

    reader, read = HistogramLogReader(str(tmp_path / "x.hlog"), HdrHistogram(1, 10**12, 3)), HdrHistogram(1, 10**12, 3)
    while (interval := reader.get_next_interval_histogram()) is not None:
        if interval.get_tag() == "task":
            read.add(interval)
    reader.close()

    percents = [50.0, 90.0, 99.0, 100.0]
    assert [read.get_value_at_percentile(p) for p in percents] == hdr.percentiles(
        own.counts, [p / 100 for p in percents]
    )
    lines = [line.split() for line in (tmp_path / "x.hgrm").read_text().splitlines()[2:] if line[:1] == " "]
    for value_ms, level, *_ in lines:
        expected_ms = hdr.percentile(own.counts, float(level)) / 1e6
        assert float(value_ms) == pytest.approx(expected_ms, abs=0.0006)


def test_a_directory_gets_everything(saved: Path, several: Path, tmp_path: Path) -> None:
    call(saved, "--format", "parquet", "-o", f"{tmp_path}/parts/")
    call(several, "--format", "csv", "-o", f"{tmp_path}/all/")

    assert len(list((tmp_path / "parts").glob("*.parquet"))) == 4
    assert (tmp_path / "all" / "02-concurrent-flows" / "metrics.csv").read_text().startswith("result,scenario")


def test_openmetrics_is_taken_by_prometheus_own_parser(several: Path, tmp_path: Path) -> None:
    write_result(tmp_path / "hostile.json", hostile_result())

    text = call(several, tmp_path / "hostile.json", "--format", "openmetrics").stdout

    families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    rates = families["pgflow_stress_process_per_second"].samples
    mean = build_result(name="single-flow").summary["process.per_second"].mean
    found = {(one.labels["scenario"], one.labels["statistic"]): one.value for one in rates}
    assert found["single-flow", "mean"] == mean
    assert {one.value for one in families["pgflow_stress_valid"].samples} == {0.0, 1.0}
    assert any("\\x1b" in one.labels["scenario"] for one in rates)


SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[2] / "data" / "junit.xsd"))


def test_junit_holds_thresholds_and_checks_as_cases_and_fits_its_schema(several: Path, tmp_path: Path) -> None:
    gates = [{"text": "a>1", "held": True}, {"text": "b<2", "held": False}, {"text": "c", "held": None}]
    write_result(
        tmp_path / "gates.json", build_result(outcome={"exit_code": 6, "codes": [6], "reasons": [], "gates": gates})
    )
    write_result(tmp_path / "hostile.json", hostile_result())

    text = call(several, tmp_path / "gates.json", tmp_path / "hostile.json", "--format", "junit").stdout

    document = etree.fromstring(text.encode())
    SCHEMA.assertValid(document)
    suites = document.findall("testsuite")
    assert [suite.get("failures") for suite in suites] == ["0", "0", "1", "4"]
    outcomes = [
        case[0].tag if len(case) else "passed" for case in suites[2] if case.get("classname").endswith("threshold")
    ]
    assert outcomes == ["passed", "failure", "skipped"]
    audits = [case for case in suites[0] if case.get("classname") == "single-flow.audit"]
    assert len(audits) == sum(len(r.audit.checks) for r in build_result().repetitions)


def test_annotations_are_lines_of_their_own_whatever_the_text(tmp_path: Path) -> None:
    write_result(tmp_path / "hostile.json", hostile_result())

    lines = call(tmp_path / "hostile.json", "--format", "annotations").stdout.splitlines()

    assert all(line.startswith(("::error title=", "::warning title=", "::notice title=")) for line in lines)
    assert any("no message" in line or "repetition 1" in line for line in lines if line.startswith("::error"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ('{"schema": "pgflow-stress/result/1", "tool": {', "is not JSON"),
        ("\x00\x1b[31m", "is not JSON"),
        ('{"schema": "k6/summary/1"}', "not a pgflow-stress/result/1 document"),
        ('{"schema": "pgflow-stress/result/2", "scenario": {}}', "not a pgflow-stress/result/1 document"),
        ('{"schema": "pgflow-stress/result/1"}', "result lacks"),
        ("[]", "no result in"),
        ("3", "is not a pgflow-stress/result/1 document"),
    ],
)
@pytest.mark.parametrize("command", [["report"], ["compare"], ["report", "--format", "junit"]])
def test_a_file_that_is_no_result_is_one_line_and_code_2(
    text: str, told: str, command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.json"
    file.write_text(text)

    code = run_command_line([*command, *[str(file)] * (2 if command == ["compare"] else 1)])

    said = capfd.readouterr().err
    assert code == 2
    assert said.count("\n") == 1
    assert told in said
    assert "\x1b" not in said


@pytest.mark.parametrize("format_", ["html", "md", "junit", "openmetrics", "csv"])
@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (("scenario", "parameters", "runs"), "scenario/parameters: 'runs' is a required property"),
        (("verdict",), "verdict"),
    ],
)
def test_a_result_that_lost_a_part_is_one_line_and_code_2_or_shown_without(
    lost: tuple[str, ...], told: str, format_: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = to_json(build_result())
    place = document
    for name in lost[:-1]:
        place = place[name]
    del place[lost[-1]]
    (tmp_path / "r.json").write_text(json.dumps(document))

    code = run_command_line(["report", str(tmp_path / "r.json"), "--format", format_])

    said = capfd.readouterr().err
    assert code in (0, 2)
    assert said.count("\n") == 1 or code == 0
    assert told in said or code == 0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_result_is_one_line_and_code_2(
    share: float, saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = (saved / "result.json").read_text()
    (saved / "result.json").write_text(whole[: int(share * len(whole))])

    assert run_command_line(["report", str(saved)]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_the_parts_of_a_result_that_lost_a_timing_file_s_end_are_one_line_and_code_2(
    saved: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    part = next((saved / "timings").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:200])

    assert run_command_line(["report", str(saved)]) == 2
    assert capfd.readouterr().err.count("\n") == 1
