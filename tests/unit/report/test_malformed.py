from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgflow_stress.cli.failing import tell
from pgflow_stress.core.errors import ResultFault, UsageFault
from pgflow_stress.report.layout import RESULT_FILE
from pgflow_stress.report.malformed import told_if_malformed
from pgflow_stress.report.saved import load
from tests.fixtures.comparisons import measured, saved


def test_what_does_not_fit_the_schema_is_named_by_its_place(tmp_path: Path) -> None:
    file = saved(measured(n=1), tmp_path / "r") / RESULT_FILE
    document = json.loads(file.read_text())
    document["repetitions"][1]["tasks"]["completed"] = "many"
    file.write_text(json.dumps(document))

    with pytest.raises(UsageFault, match="not a whole result: repetitions/1/tasks/completed"):  # noqa: SIM117
        with told_if_malformed(load([file.parent])):
            raise TypeError("many")


def test_a_stumble_over_a_result_that_fits_keeps_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "cache"))

    with pytest.raises(ResultFault) as fault:  # noqa: SIM117
        with told_if_malformed(load([saved(measured(n=1), tmp_path / "r")])):
            raise KeyError("no such column")

    assert tell(fault.value) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "was it changed by hand? (KeyError: 'no such column') If not, it is a bug of ours" in line
    (kept,) = (tmp_path / "cache").rglob("*.txt")
    assert str(kept) in line
    assert "no such column" in kept.read_text()
