from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pgflow_stress.cli.app import app
from pgflow_stress.report.index_page import list_results
from tests.fixtures.comparisons import measured, saved
from tests.fixtures.hostile import CONTROLS, hostile_result


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_an_index_lists_every_result_oldest_first_and_what_it_could_not_read(tmp_path: Path) -> None:
    saved(measured(1.0, 2), tmp_path / "20261102T120000Z-b" / "01-x")
    saved(measured(1.1, 2, name="single-flow"), tmp_path / "20261101T120000Z-a")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "result.json").write_text('{"schema": "k6"}')

    listing = list_results(tmp_path)
    told = call("report", "--index", tmp_path)

    assert [str(one.folder) for one in listing.results] == ["20261101T120000Z-a", "20261102T120000Z-b/01-x"]
    assert [path for path, _ in listing.unread] == ["foreign/result.json"]
    assert "not read: foreign/result.json" in told.stderr
    data = json.loads(re.findall(r'id="data">(.*?)</script>', (tmp_path / "index.html").read_text())[0])
    mean = listing.results[0].result.summary["execute.per_second"].mean
    assert data["rows"][0]["metrics"]["execute.per_second"][0] == pytest.approx(mean, rel=1e-5)


def test_a_comparison_becomes_a_page_with_its_verdict_in_words(tmp_path: Path) -> None:
    base = saved(measured(1.0, 10, session="one"), tmp_path / "base")
    candidate = saved(measured(0.8, 10, seed=2, session="one"), tmp_path / "candidate")

    told = call("compare", base, candidate, "--output", tmp_path / "c.html")

    page = (tmp_path / "c.html").read_text()
    assert "written:" in told.stderr
    assert '<div class="verdict worse">' in page
    assert "execute.per_second: worse" in page
    figures = json.loads(re.findall(r'id="figures">(.*?)</script>', page)[0])
    assert list(figures) == ["c1-intervals"]  # without histograms no distributions
    rates = {
        name: x for trace in figures["c1-intervals"]["data"] for name, x in zip(trace["y"], trace["x"], strict=True)
    }
    assert -25 < rates["execute.per_second"] < -15


def test_a_comparison_that_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["compare", "/nonexistent", "/nonexistent", "-o", "/proc/nowhere/x.html"])

    assert "is not writable" in str(ended.exception)


def test_hostile_names_are_text_on_every_page(tmp_path: Path) -> None:
    folder = saved(hostile_result(), tmp_path / "h")
    call("compare", folder, folder, "-o", tmp_path / "c.html")
    call("report", "--index", tmp_path)

    for page in ((tmp_path / name).read_text() for name in ("c.html", "index.html")):
        assert "<img" not in page
        assert "<b>" not in page
        assert [character for character in CONTROLS if character in page] == []


@pytest.mark.parametrize("format_", ["md", "annotations"])
def test_hostile_names_end_no_table_and_send_no_command_to_a_terminal(format_: str, tmp_path: Path) -> None:
    folder = saved(hostile_result(), tmp_path / "h")

    text = call("report", folder, "--format", format_).stdout

    assert [character for character in CONTROLS if character in text] == []
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({re.sub(r"\\\|", "", line).count("|") for line in table.splitlines()}) == 1 for table in tables)
    assert format_ == "annotations" or "<" not in text
