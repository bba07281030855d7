"""The directory of a sweep that was killed while it wrote: nothing half written stays."""

from __future__ import annotations

from pathlib import Path

from pgflow_stress.report.sweep_directory import SweepDirectory
from tests.fixtures.results import build_result


def test_what_a_kill_left_half_written_is_gone_when_the_sweep_is_finished(tmp_path: Path) -> None:
    cell = tmp_path / SweepDirectory.folder_name(0, "workers=1")
    cell.mkdir()
    torn = [tmp_path / ".sweep.json.abc123", tmp_path / ".index.json.x", cell / ".result.json.q_1"]
    for path in torn:
        path.write_text("{")
    (tmp_path / "mine.txt").write_text("")
    directory = SweepDirectory(tmp_path, resume=True)

    directory.cell(0, "workers=1", build_result())
    directory.finish()

    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        "01-workers=1", "01-workers=1/result.json", "index.json", "mine.txt",
    }  # fmt: skip
