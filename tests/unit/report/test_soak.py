"""A soak for a reader: its verdict, its slopes, what fills up, its jobs of retention; as a summary and a report."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pgflow_stress.analysis.soak import judge_soak
from pgflow_stress.core.result import Json, Result, from_json, to_json
from pgflow_stress.report.exports import markdown, openmetrics
from pgflow_stress.report.html import render_html
from pgflow_stress.report.saved import Saved
from pgflow_stress.report.sections.soak import soak_view
from pgflow_stress.report.soak_words import soak_lines
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.terminal import render_summary
from tests.fixtures.results import build_repetition, build_result
from tests.fixtures.schemas import PACKAGED, PUBLISHED, faults

WINDOWS = 30


def _books(*, leak: float = 0.0, free: float | None = 1e9) -> Json:
    alternating = [(-1) ** number for number in range(WINDOWS + 1)]
    seconds = [60.0 * number for number in range(WINDOWS + 1)]
    readings: dict[str, list[Any]] = {
        "seconds": seconds,
        "table_bytes": [5e7 + 1e5 * one for one in alternating],
        "index_bytes": [3e7 + 1e5 * one for one in alternating],
        "rows_live": [1e5 + 100 * one + leak * at for one, at in zip(alternating, seconds, strict=True)],
        "rows_dead": [1e3 + 100 * one for one in alternating],
        "database_bytes": [1e8 + 1e3 * at for at in seconds],
        "oldest_xmin_age": [10.0] * len(seconds),
        "xids": [1e3 * at for at in seconds],
        "frozen_age": [1e3 * at for at in seconds],
        "wal_bytes": [1e4 * at for at in seconds],
        "disk_free_bytes": [free] * len(seconds),
    }
    windows = {
        "from_seconds": seconds[:-1],
        "seconds": [60.0] * WINDOWS,
        "tasks": [30_000] * WINDOWS,
        "tasks_per_second": [500.0 + one for one in alternating[:-1]],
        "runs": [6_000] * WINDOWS,
        "response_p50_ns": [4e6 + 1e4 * one for one in alternating[:-1]],
        "response_p99_ns": [2e7 + 1e5 * one for one in alternating[:-1]],
        "cycle_p50_ns": [2e6 + 1e4 * one for one in alternating[:-1]],
        "cycle_p99_ns": [1e7 + 1e5 * one for one in alternating[:-1]],
    }
    prune = {
        "sql": "delete from t", "every_seconds": 600.0, "count": 2, "failed": 1, "rows": 1_234, "mean_seconds": 0.5,
        "longest_seconds": 0.75, "first_error": "deadlock detected",
        "each": [{"at_ns": 600_000_000_000, "seconds": 0.5, "rows": 1_234, "error": ""}],
    }  # fmt: skip
    return {
        "window_seconds": 60.0, "one_second_in": 3, "retention": True, "windows": windows, "readings": readings,
        "autovacuum_freeze_max_age": 200_000_000, "unseen": ["disk_free_bytes: the server is not on this host"],
        "prunes": [prune],
    }  # fmt: skip


def _soaked(**changes: Any) -> Result:
    books = _books(**changes)
    repetition = replace(build_repetition(1), soak=books)
    outcome = {"exit_code": 0, "codes": [], "reasons": [], "soak": judge_soak(books).as_json()}
    return build_result((repetition,), outcome=outcome)


def _summary(result: Result) -> str:
    written = io.StringIO()
    render_summary(result, Console(file=written, width=300, no_color=True))
    return " ".join(written.getvalue().split())


def test_a_summary_says_stationary_what_fills_up_and_what_the_jobs_took() -> None:
    text = _summary(_soaked())

    assert "stationary over 20.0 min, the first 10.0 min left out" in text
    assert "disk full in 11 days" in text.replace("11.6", "11").replace("12 days", "11 days")
    assert "autovacuum_freeze_max_age reached in" in text
    assert "--prune every 600 s: 2 times, 1,234 rows, mean 0.500 s, longest 0.750 s" in text
    assert "FAILED 1 times: deadlock detected" in text


def test_a_leak_is_called_degrading_by_how_much_an_hour_and_of_what() -> None:
    text = _summary(_soaked(leak=100.0))

    assert "degrading" in text
    assert "% an hour (live rows)" in text.replace("\u00a0", " ")


def test_what_is_not_known_is_not_told() -> None:
    lines = soak_lines(_soaked(free=None))

    assert not any(line.startswith("disk full") for line in lines)
    assert soak_lines(build_result()) == []


def test_a_report_has_a_row_a_quantity_and_its_course() -> None:
    result = _soaked()

    view = soak_view(Subject(result))

    assert view is not None
    assert [plot.name for plot in view["plots"]] == ["rate", "response", "rows", "size"]
    assert len(view["slopes"].rows) == len(result.outcome["soak"]["slopes"])
    assert soak_view(Subject(build_result())) is None
    page = render_html([Subject(result)])
    assert "Soak: what drifts, what fills up" in page
    assert "the server is not on this host" in page


def test_exports_tell_the_verdict(tmp_path: Path) -> None:
    saved = [Saved(_soaked(), tmp_path)]

    assert "**Soak**: stationary over" in markdown.render(saved)
    assert 'soak="stationary"' in openmetrics.render(saved)


def test_passed_seconds_are_a_note_of_the_verdict() -> None:
    one = replace(build_repetition(1), soak=_books())
    result = build_result((replace(one, client={**one.client, "rows_left_out": 2_000}),))

    assert any("one second in 3 is kept" in note for note in result.verdict.notes)


def test_it_is_written_by_the_schema_and_read_again() -> None:
    result = _soaked()

    document = to_json(result)

    assert faults(document, PACKAGED) == faults(document, PUBLISHED) == []
    assert from_json(document).repetitions[0].soak == result.repetitions[0].soak
    assert from_json(document).outcome["soak"]["disk_full"]["hours"] == pytest.approx(1e9 / 3.6e6, rel=1e-6)
