"""The page of a profile, on a terminal and in HTML."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from pgflow_stress.core.result import Result, from_json, to_json
from pgflow_stress.report.exports.markdown import render
from pgflow_stress.report.html import render_html
from pgflow_stress.report.profile_terminal import render_profile
from pgflow_stress.report.saved import Saved
from pgflow_stress.report.subject import Subject
from tests.fixtures.profiles import LOCKING, profiled_result
from tests.fixtures.results import build_result


def page(result: Result, width: int = 160) -> str:
    stream = io.StringIO()
    render_profile(result, Console(file=stream, width=width), "somewhere")
    return stream.getvalue()


def test_the_page_names_function_statement_and_wait_and_adds_up() -> None:
    shown = " ".join(page(profiled_result()).split())

    assert f"pgflow.complete_task: {LOCKING[:40]}" in shown
    assert "a lock on a row of pgflow.runs" in shown
    assert "residual 0 %" in shown
    assert "complete_task locks its row in pgflow.runs until it commits: workers waited for it" in shown
    assert "so one run reaches at most" in shown
    assert "tasks/s, however many workers there are; " in shown
    assert "measured, over 100 runs" in shown


def test_the_page_says_whether_it_is_valid_and_why_not() -> None:
    result = profiled_result()
    doubted = replace(result.verdict, valid=False, reasons=("repetitions differ", "the host was busy"))

    assert "long enough, repetitions agree, audit ok" in page(result)
    shown = page(replace(result, verdict=doubted))
    assert "not valid      repetitions differ" in shown
    assert "the host was busy" in shown


def test_of_a_server_elsewhere_it_is_its_cores_that_are_saturated() -> None:
    result = profiled_result()
    elsewhere = {**result.profile, "busy_share": 0.2, "server_busy_share": 0.97}

    assert "yes: the cores of the server's host were busy 97 %" in page(replace(result, profile=elsewhere))


def test_what_could_not_be_seen_is_named() -> None:
    result = profiled_result()
    lacking = {**result.profile, "not_seen": ["statements: pg_stat_statements is not there"],
               "call_graphs": {"not_seen": "perf is not installed"}}  # fmt: skip
    shown = page(replace(result, profile=lacking))

    assert "pg_stat_statements is not there" in shown
    assert "perf is not installed" in shown


def test_a_narrow_terminal_is_no_reason_for_a_broken_one() -> None:
    assert "adds up" in page(profiled_result(), width=60)


def test_the_report_has_a_section_of_it_and_an_ordinary_one_has_not() -> None:
    with_one, without = (render_html([Subject(one)]) for one in (profiled_result(), build_result()))

    assert "Where the server&#39;s time went" in with_one or "Where the server's time went" in with_one
    assert "SELECT * FROM pgflow.runs" in with_one
    assert "what executing backends were held up by".lower() in with_one.lower()
    assert "held up by" not in without


def test_a_long_statement_is_folded_and_all_of_it_is_there() -> None:
    result = profiled_result()
    long = f"SELECT {', '.join(f'column_{n}' for n in range(80))} FROM t"
    rows = [{**row, "statement": long} for row in result.profile["cost"]["rows"][:1]]
    profile = {**result.profile, "cost": {**result.profile["cost"], "rows": rows}}
    shown = render_html([Subject(replace(result, profile=profile))])

    (start,) = [part for part in shown.split('<th scope="row">') if long in part]
    head = start.partition("</summary>")[0]
    assert head.startswith('<details class="fold"><summary>')
    assert head.endswith("…")
    assert len(head) < 160


def test_a_profile_survives_being_saved_and_an_ordinary_result_has_no_key_for_it() -> None:
    result = profiled_result()

    assert from_json(to_json(result)).profile == to_json(result)["profile"]
    assert "profile" not in to_json(build_result())


def test_markdown_has_its_heaviest_rows(tmp_path: Path) -> None:
    text = render([Saved(profiled_result(), tmp_path)])

    assert "| pgflow.complete_task: SELECT * FROM pgflow.runs" in text
    assert "**Adds up**" in text
