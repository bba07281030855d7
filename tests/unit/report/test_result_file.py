from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.report.result_file import read_located, read_result, require_writable, write_index, write_result
from tests.fixtures.results import build_result, quick_look


def test_a_result_reads_back_as_it_was_written(tmp_path: Path) -> None:
    result = build_result()

    write_result(tmp_path / "r.json", result)

    assert read_result(tmp_path / "r.json") == result
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_a_stream_gets_the_same_and_several_results_an_array(tmp_path: Path) -> None:
    stream, results = io.StringIO(), [build_result(), quick_look()]

    write_result(stream, results)
    (tmp_path / "r.json").write_text(stream.getvalue())

    assert read_result(tmp_path / "r.json") == results


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused_and_the_old_file_stays(tmp_path: Path, value: float) -> None:
    (tmp_path / "r.json").write_text("old")
    result = build_result()
    broken = replace(result, environment={**result.environment, "load": value})

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(tmp_path / "r.json", broken)

    assert (tmp_path / "r.json").read_text() == "old"


def test_numpys_scalars_are_numbers() -> None:
    stream, result = io.StringIO(), build_result()

    write_result(stream, replace(result, environment={**result.environment, "cores": np.int64(2)}))

    assert json.loads(stream.getvalue())["environment"]["cores"] == 2


def test_a_full_disk_is_a_failed_run() -> None:
    with Path("/dev/full").open("w") as full, pytest.raises(RunFailed, match="No space left"):
        write_result(full, build_result())


def test_a_folder_that_has_gone_is_a_failed_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="could not be written"):
        write_result(tmp_path / "gone" / "r.json", build_result())


def test_an_index_reads_like_its_results_in_order(tmp_path: Path) -> None:
    results = [build_result(name="single-flow"), build_result(name="concurrent-flows")]
    for folder, result in zip(("01-a", "02-b"), results, strict=True):
        (tmp_path / folder).mkdir()
        write_result(tmp_path / folder / "result.json", result)

    write_index(tmp_path, [("a", "01-a"), ("b", "02-b")])

    assert read_result(tmp_path) == results
    assert read_result(tmp_path / "index.json") == results
    assert [folder for folder, _ in read_located(tmp_path)] == [tmp_path / "01-a", tmp_path / "02-b"]


def test_an_index_of_one_is_a_list_still(tmp_path: Path) -> None:
    (tmp_path / "01-a").mkdir()
    write_result(tmp_path / "01-a" / "result.json", build_result())
    write_index(tmp_path, [("a", "01-a")])

    assert isinstance(read_result(tmp_path), list)


@pytest.mark.parametrize("folder", ["../elsewhere", "/etc", "", "."])
def test_an_index_does_not_lead_out_of_its_folder(tmp_path: Path, folder: str) -> None:
    write_index(tmp_path, [("a", folder)])

    with pytest.raises(UsageFault, match="is not a folder below it"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"schema": NaN}', "NaN is not JSON"),
        ("5", "is not a pgflow-stress/result/1"),
        ("{}", "not a pgflow-stress/result/1"),
        ("[5]", "has no attribute|not a"),
        ('{"schema": "pgflow-stress/result/1"}', "lacks 'tool'"),
        ('{"schema": "pgflow-stress/result/2"}', "schema is 'pgflow-stress/result/2'"),
    ],
)
def test_what_is_no_result_of_ours_is_said_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "r.json").write_text(text)

    with pytest.raises(UsageFault, match=told) as raised:
        read_result(tmp_path / "r.json")

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[1e400]", "finds no room"),
        ("[-1e400]", "finds no room"),
        ("[" + "9" * 400 + "]", "finds no room"),
        ("[" + "9" * 5_000 + "]", "finds no room"),
    ],
)
def test_numbers_and_nestings_that_find_no_room_are_said_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "r.json").write_text(text)

    with pytest.raises(UsageFault, match=told) as fault:
        read_result(tmp_path / "r.json")

    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 500


def test_what_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="No such file"):
        read_result(tmp_path / "absent")
    with pytest.raises(UsageFault, match=r"neither result\.json nor index\.json"):
        read_result(tmp_path)


def test_unknown_keys_of_a_later_writer_are_accepted(tmp_path: Path) -> None:
    write_result(tmp_path / "r.json", build_result())
    document = json.loads((tmp_path / "r.json").read_text())
    document["later"] = document["repetitions"][0]["tasks"]["later"] = 1
    (tmp_path / "r.json").write_text(json.dumps(document))

    assert read_result(tmp_path / "r.json") == build_result()


def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path / "r.json")

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent" / "r.json"):
        with pytest.raises(UsageFault):
            require_writable(path)
