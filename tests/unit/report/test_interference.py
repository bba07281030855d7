"""Interference for a reader: on the summary, in the report, as marks over time, in Markdown and for Prometheus."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from pgflow_stress.analysis.fingerprints import differences
from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.latency import histogram_of, latency_of
from pgflow_stress.core.result import Json, Result, from_json, to_json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.exports import markdown, openmetrics
from pgflow_stress.report.plots.marks import marks_of
from pgflow_stress.report.saved import Saved
from pgflow_stress.report.sections.interference import interference_view
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.terminal import render_summary
from tests.fixtures.results import ENVIRONMENT, PARAMETERS, build_repetition, build_result
from tests.fixtures.schemas import PACKAGED, PUBLISHED, faults

HELD: Json = {
    "number": 1, "name": "held-xmin", "spec": "held-xmin@2s:3s", "took_hold": True, "why": "", "timed": True,
    "proof": {"backend_xmin": "771", "age_at_the_end_transactions": 5_312}, "from_ns": 2 * NS_PER_SECOND,
    "to_ns": 5 * NS_PER_SECOND, "recovery": {"horizon_moved_seconds": 0.01},
    "tasks_per_second": {"before": 500.0, "with": 410.0, "since": 480.0},
}  # fmt: skip
MISSED: Json = {
    **HELD, "number": 2, "name": "bloat", "spec": "bloat", "took_hold": False, "timed": False,
    "why": "pgflow's tables were vacuumed 1 times before the end",
}  # fmt: skip


def _span(milliseconds: float) -> Json:
    latency = asdict(latency_of(histogram_of([round(milliseconds * 1e6)] * 100)))
    return {
        "from_ns": 0, "seconds": 1.0, "updates": 100, "failed": 0, "skipped": 0, "response_ns": latency,
        "service_ns": latency,
    }  # fmt: skip


def _interfered() -> Result:
    bystander = {"spans": {"before": _span(1), "with held-xmin": _span(2.5)}, "recovered_seconds": 0.5}
    besides: Json = {"kinds": [HELD, MISSED], "bystander": bystander}
    repetition = replace(build_repetition(1), interference=besides)
    return build_result((repetition, build_repetition(2)), parameters={"interference": ["held-xmin@2s:3s", "bloat"]})


def _summary(result: Result) -> str:
    written = io.StringIO()
    render_summary(result, Console(file=written, width=300, no_color=True))
    return " ".join(written.getvalue().split())


def test_a_summary_says_what_took_hold_by_what_and_what_a_bystander_felt() -> None:
    text = _summary(_interfered())

    assert "held-xmin@2s:3s held; tasks/s before 500, with 410, since 480" in text
    assert "bloat did NOT take hold to the end: pgflow's tables were vacuumed" in text
    assert "before, alone 1.00 ms, with held-xmin 2.50 ms; as fast as before after 0.50 s" in text


def test_a_report_has_a_row_a_kind_and_a_part_of_the_time_and_marks_where_it_was() -> None:
    result = _interfered()

    view = interference_view(Subject(result))
    marks = {mark.text: mark.seconds for mark in marks_of(result.repetitions[0])}

    assert view is not None
    assert [row[1] for row in view["kinds"].rows] == ["held-xmin@2s:3s", "bloat"]
    assert [row[7] for row in view["spans"].rows] == ["1.00 ×", "2.50 ×"]
    assert ("1 held-xmin@2s:3s", "backend xmin 771, age at the end transactions 5312") in view["proofs"].rows
    assert (marks["held-xmin@2s:3s from here"], marks["held-xmin over"]) == (2.0, 5.0)
    assert not any(text.startswith("bloat") for text in marks)
    assert interference_view(Subject(build_result())) is None


def test_the_verdict_notes_it_and_a_checkpoint_that_was_asked_for_invalidates_nothing() -> None:
    repetitions = _interfered().repetitions
    checkpointed = [replace(one, server={**one.server, "checkpoints": 3}) for one in repetitions]

    noted = judge(PARAMETERS, repetitions, ENVIRONMENT)
    asked = judge({**PARAMETERS, "interference": ["checkpoints"]}, checkpointed, ENVIRONMENT)
    unasked = judge(PARAMETERS, checkpointed, ENVIRONMENT)

    assert any("interfered with on purpose (held-xmin@2s:3s)" in note for note in noted.notes)
    assert any("did not take hold to the end, and explains nothing: bloat" in note for note in noted.notes)
    assert not any("checkpoint inside" in reason for reason in asked.reasons)
    assert any("checkpoint inside" in reason for reason in unasked.reasons)


def test_a_result_with_it_differs_from_one_without_in_it_first() -> None:
    found = differences(build_result(parameters={"workers": 9}), _interfered())

    assert found[0].name == "parameters.interference"
    assert (found[0].base, found[0].candidate) == ("absent", ["held-xmin@2s:3s", "bloat"])


def test_exports_name_it(tmp_path: Path) -> None:
    saved = [Saved(_interfered(), tmp_path)]

    assert "**Interference**: repetition 1: held-xmin@2s:3s held" in markdown.render(saved)
    assert 'interference="held-xmin@2s:3s bloat"' in openmetrics.render(saved)


def test_it_is_written_by_the_schema_and_read_again() -> None:
    result = _interfered()

    document = to_json(result)

    assert faults(document, PACKAGED) == faults(document, PUBLISHED) == []
    assert from_json(document).repetitions[0].interference == result.repetitions[0].interference
