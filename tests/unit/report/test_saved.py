"""Results as files of others: what is read back is data, whatever is in it."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram

from pgflow_stress.cli.main import run_command_line
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import to_json
from pgflow_stress.report.folders import folders
from pgflow_stress.report.histograms import read_log
from pgflow_stress.report.result_file import dump
from pgflow_stress.report.saved import Saved
from tests.fixtures.results import build_result

_PAYLOAD = struct.pack(">iiiiqqd", 0x1C849303 | 0x10, 0, 0, 3, 1, 10**9, 1.0)


def _line(payload: bytes) -> str:
    packed = zlib.compress(payload)
    return (
        "Tag=task,1.0,1.0,1.0," + base64.b64encode(struct.pack(">ii", 0x1C849304 | 0x10, len(packed)) + packed).decode()
    )


@pytest.mark.parametrize(
    "line",
    [
        "Tag=task,1.0,1.0,1.0,HISTFAAAA",
        "Tag=task,1.0,1.0,1.0," + base64.b64encode(b"HIST").decode(),
        _line(b""),
        _line(_PAYLOAD[:20]),
        _line(_PAYLOAD.replace(struct.pack(">q", 1), struct.pack(">q", 0))),
        HdrHistogram(1, 10**9, 2).encode().decode().join(["Tag=task,1.0,1.0,1.0,", ""]),
    ],
    ids=["no base64", "short", "empty", "cut", "lowest 0", "other buckets"],
)
def test_a_log_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "latencies.hlog"
    path.write_text(f"#[Histogram log format version 1.2]\n{line}\n")

    with pytest.raises(UsageFault, match="not a log of HdrHistogram's") as told:
        read_log(path)

    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", "\n", "x" * 5_000, "é\x00", ""])
def test_folders_of_several_results_stay_below_the_one_that_was_given(tmp_path: Path, name: str) -> None:
    result = replace(build_result(), scenario={"name": name, "parameters": {}})

    made = folders([Saved(result, tmp_path), Saved(result, tmp_path)], tmp_path / "out")

    assert {folder.parent for folder in made} == {tmp_path / "out"}
    assert all(folder.is_dir() for folder in made)
    assert len(set(made)) == 2


@pytest.mark.parametrize("command", ["audit", "report", "compare"])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("repetitions", 0, "tasks"), []),
        (("repetitions", 0, "phases", "process"), {"seconds": "x"}),
        (("repetitions", 0, "audit", "checks"), 5),
        (("repetitions", 0, "client"), "x"),
        (("repetitions", 0, "client"), {"series": {"counts": "x"}}),
        (("summary", "process.per_second", "values"), [[]]),
        (("summary", "process.per_second", "mean"), "x"),
        (("environment",), []),
        (("scenario",), {"name": [], "parameters": 5}),
        (("verdict", "metrics"), []),
        (("hosts",), [1]),
    ],
)
def test_a_result_that_was_changed_is_never_taken_for_a_bug(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    place: tuple[str | int, ...],
    value: object,
) -> None:
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "cache"))
    document = json.loads(dump(to_json(build_result())))
    at = document
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    path = tmp_path / "r.json"
    path.write_text(json.dumps(document))
    more = {"audit": (), "report": ("--format", "md", "--output", "-"), "compare": (str(path),)}[command]

    code = run_command_line([command, str(path), *more])

    assert code in (0, 2, 4), capsys.readouterr().err
    assert "bug of ours" not in capsys.readouterr().err
