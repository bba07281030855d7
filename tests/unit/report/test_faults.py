"""Faults for a reader: on the summary, in the report, as marks over time."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from pgflow_stress.analysis.verdict import judge
from pgflow_stress.core.result import Incident, Json, Result, from_json, to_json
from pgflow_stress.report.plots.marks import marks_of
from pgflow_stress.report.sections.faults import faults_view
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.terminal import render_summary
from tests.fixtures.results import ENVIRONMENT, PARAMETERS, build_repetition, build_result
from tests.fixtures.schemas import PACKAGED, PUBLISHED, faults

HELD: Json = {
    "number": 1, "name": "kill-worker", "spec": "kill-worker@2s", "subject": "worker 0", "due_seconds": 2.0,
    "at_ns": 2_100_000_000, "held_ns": 2_130_000_000, "ended_ns": 2_200_000_000, "took_hold": True, "why": "",
    "proof": {"pid": 7, "signal": 9},
    "recovery": {"first_task_seconds": 0.03, "first_task_of_subject_seconds": 0.14, "rate_before_per_second": 500.0,
                 "rate_back_seconds": 1.5},
}  # fmt: skip
MISSED: Json = {
    **HELD, "number": 2, "name": "restart", "spec": "restart@60s", "subject": "", "at_ns": None, "held_ns": None,
    "ended_ns": None, "took_hold": False, "why": "the work was done before its time", "proof": {}, "recovery": None,
}  # fmt: skip
WORK: Json = {
    "messages_read_again": 4, "reads_again": 6, "read_again_ids": ["r a 0"], "attempts": 103, "tasks_completed": 100,
    "attempts_for_nothing": 3, "completed_again": 1, "goodput_per_second": 480.0, "throughput_per_second": 499.0,
}  # fmt: skip


def _struck() -> Result:
    incident = Incident("fault injected", 2_100_000_000, "worker 0", "1 kill-worker@2s")
    repetition = replace(build_repetition(1), faults=(HELD, MISSED), work=WORK, incidents=(incident,))
    return build_result((repetition, build_repetition(2)))


def _summary(result: Result) -> str:
    written = io.StringIO()
    render_summary(result, Console(file=written, width=200, no_color=True))
    return " ".join(written.getvalue().split())


def test_a_summary_says_what_took_hold_how_long_it_was_felt_and_what_was_done_twice() -> None:
    text = _summary(_struck())

    assert "kill-worker@2s on worker 0: first task after 30" in text.replace("0.0300 s", "30 ms")
    assert "its own after" in text
    assert "restart@60s did NOT take hold: the work was done before its time" in text
    assert "4 messages read again (6 times), 3 attempts for nothing, 1 completed again" in text
    assert "goodput 480 of 499 tasks/s" in text
    assert "incidents" not in text  # said better by the faults


def test_a_report_has_a_row_a_fault_and_marks_where_it_struck_and_was_got_over() -> None:
    result = _struck()

    view = faults_view(Subject(result))
    marks = {mark.text: mark.seconds for mark in marks_of(result.repetitions[0])}

    assert view is not None
    assert [row[1] for row in view["faults"].rows] == ["1 kill-worker@2s", "2 restart@60s"]
    assert ("1 kill-worker@2s", "pid 7, signal 9") in view["proofs"].rows
    assert marks["kill-worker 1"] == 2.1
    assert marks["rate back after 1"] == 3.6
    assert not any("fault injected" in text for text in marks)
    assert faults_view(Subject(build_result())) is None


def test_the_verdict_notes_faults_and_invalidates_nothing_by_them() -> None:
    repetitions = _struck().repetitions

    verdict = judge(PARAMETERS, repetitions, ENVIRONMENT)

    told = [note for note in verdict.notes if "disturbed on purpose" in note or "did not take hold" in note]
    assert len(told) == 2
    assert not [reason for reason in verdict.reasons if "took hold" in reason]


def test_faults_are_written_by_the_schema_and_read_again() -> None:
    result = _struck()

    document = to_json(result)

    assert faults(document, PACKAGED) == faults(document, PUBLISHED) == []
    assert from_json(document).repetitions[0].faults == (HELD, MISSED)
    assert from_json(document).repetitions[0].work == WORK
