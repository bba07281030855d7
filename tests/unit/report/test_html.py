from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.cli.commands.run import run
from pgflow_stress.core.latency import histogram_of
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Result
from pgflow_stress.report import sections
from pgflow_stress.report.document import script_json
from pgflow_stress.report.html import render_html
from pgflow_stress.report.printable import printable
from pgflow_stress.report.repetition_words import flat
from pgflow_stress.report.sections.reproduce import reproduce
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.svg import Bar, bars
from tests.fixtures.hostile import CONTROLS, HOSTILE, MARK, hostile_result
from tests.fixtures.results import (
    build_baseline,
    build_observed,
    build_observed_result,
    build_recording,
    build_result,
    drawn_latencies_ns,
    flooded,
    lossy,
    quick_look,
)

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Outline(HTMLParser):
    """Tags balanced, headings, captions of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.tables = self.captions = 0
        self.urls: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.urls += [value or "" for name, value in attrs if name in ("src", "href")]
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag closed at once: nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(result: Result, histograms: Mapping[str, Histogram] | None = None) -> str:
    return render_html([Subject(result, histograms or {})])


def figures_of(page: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    found: dict[str, dict[str, list[dict[str, object]]]] = json.loads(Outline(page).scripts[0])
    return found


def test_folder_templates_and_registry_name_the_same_sections() -> None:
    folder = Path(sections.__file__).parent
    modules = {file.stem for file in folder.glob("*.py") if file.stem != "__init__"}
    templates = {file.stem for file in (folder.parent / "templates" / "sections").glob("*.html")}

    assert modules == templates == set(sections.SECTIONS)


def test_the_page_is_whole_offline_and_says_what_may_run() -> None:
    page = page_of(build_result(), build_recording().histograms)

    outline = Outline(page)
    assert outline.open == []
    assert all(url.startswith("#") for url in outline.urls)
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"@import|url\(", style)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe-inline" not in policy[1].split("script-src")[1]
    assert len(page) < 3_000_000


def test_headings_descend_one_by_one_and_every_table_has_a_caption() -> None:
    outline = Outline(page_of(quick_look()))

    assert outline.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert outline.tables == outline.captions > 5


def test_it_shows_verdict_intervals_plots_and_every_parameter() -> None:
    result = build_result()

    page = page_of(result, build_recording().histograms)

    assert ">Valid</strong>" in page
    assert "± 2 %" in page
    assert {"r1-budget-budget", "r1-latency-percentiles-process", "r1-latency-percentiles-execute"} <= set(
        figures_of(page)
    )
    assert all(f'<th scope="row">{name}</th>' in page for name in result.scenario["parameters"] if name != "pg_setting")
    assert "settings.wal_level" in page


def test_the_uncorrected_response_times_are_drawn_beside_the_corrected_ones() -> None:
    histograms = {
        "execute": histogram_of(drawn_latencies_ns(500)),
        "execute_service": histogram_of(drawn_latencies_ns(400)),
    }

    figure = figures_of(page_of(build_result(), histograms))["r1-latency-percentiles-execute"]

    assert {trace["name"] for trace in figure["data"]} == {"corrected", "uncorrected"}


def test_several_results_are_one_page_with_a_way_to_each_and_their_distributions_overlaid() -> None:
    histograms = build_recording().histograms
    page = render_html([Subject(build_result(), histograms), Subject(quick_look(), histograms)])

    assert Outline(page).urls[:3] == ["#main", "#r1", "#r2"]
    over = figures_of(page)["together-percentiles-process"]
    assert {trace["name"] for trace in over["data"]} == {"1: concurrent-flows", "2: concurrent-flows"}
    assert "<caption>Means over the counted repetitions" in page


def test_text_of_others_is_text_everywhere() -> None:
    page = page_of(hostile_result())

    outline = Outline(page)
    assert outline.open == []
    assert [character for character in CONTROLS if character in page] == []
    assert "<b>" not in page
    assert "<img" not in page
    assert f"<script>{MARK}" not in page
    assert "\\x1b[31mred" in page
    assert "مرحبا" in page


@pytest.mark.parametrize("text", HOSTILE)
def test_json_in_a_script_ends_no_element_and_reads_back(text: str) -> None:
    written = str(script_json({text: [text]}))

    assert written.isascii()
    assert not set("<>&") & set(written)
    assert json.loads(written) == {text: [text]}


def test_printable_text_keeps_what_can_be_seen() -> None:
    assert printable("a\tb\nç \u202ex\u202c עברית\x1b") == "a\tb\nç \\u202ex\\u202c עברית\\x1b"


def test_the_command_to_reproduce_is_one_that_run_takes_and_scales_nothing_twice() -> None:
    cpus = sorted(os.sched_getaffinity(0))[:2]
    pin = {"worker": cpus, "postgres": cpus[:1]}
    parameters = {"scale": 5.0, "vt": None, "pin": pin, "pg_setting": {"jit": "on"}}
    command = reproduce(build_result(parameters=parameters))

    words = shlex.split(command)
    taken = run.make_context("run", words[2:]).params

    assert words[:3] == ["pgflow-stress", "run", "concurrent-flows"]
    assert (taken["workers"], taken["steps"], taken["flows"], taken["runs"], taken["scale"]) == (2, 5, 100, 100, 1.0)
    assert taken["pin"] == (("worker", tuple(cpus)), ("postgres", tuple(cpus[:1])))
    assert (taken["pg_setting"], taken["pgflow"], taken["vt"]) == (("jit=on",), "0.8.1", None)


def test_limits_are_in_the_command_to_reproduce_where_they_differ_and_a_pilot_is_not() -> None:
    parameters = {"limits": {**asdict(DEFAULT_LIMITS), "max_checkpoints": 3}, "pilot": {"tasks": 800}}

    words = shlex.split(reproduce(build_result(parameters=parameters)))

    assert [value for option, value in pairwise(words) if option == "--limit"] == ["max_checkpoints=3"]
    assert "--pilot" not in words


def test_a_flow_of_the_users_own_is_asked_for_again_by_its_file_alone() -> None:
    parameters = {"flow": "a.sql", "elements": 3, "own_flows": [{"flow": "a"}], "steps": 4, "derived": ["steps"],
                  "scenario_file": "f.toml"}  # fmt: skip

    words = shlex.split(reproduce(build_result(parameters=parameters)))

    assert words[words.index("--flow") + 1] == "a.sql"
    assert words[words.index("--elements") + 1] == "3"
    assert not {"--steps", "--own-flows", "--scenario-file"} & {*words}


def test_flags_and_options_of_the_observer_are_in_the_command_to_reproduce() -> None:
    parameters = {"events": "wal", "observer_delay_ms": 10.0, "observer_cost": True}

    words = shlex.split(reproduce(build_result(parameters=parameters)))
    taken = run.make_context("run", words[2:]).params

    assert (taken["events"], taken["observer_delay"], taken["observer_cost"]) == ("wal", 10.0, True)
    assert "--observer-cost" not in reproduce(build_result(parameters={"observer_cost": False}))


def test_events_have_a_section_with_types_differences_delivery_and_backlog() -> None:
    deliveries = {"deliver_step_started": histogram_of(drawn_latencies_ns(500)), "after_commit": histogram_of([5])}
    page = page_of(build_observed_result(lossy(1), flooded(2)), deliveries)

    outline = Outline(page)
    assert outline.open == []
    assert outline.tables == outline.captions
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert "Events: should, stored, received" in page
    assert '<th scope="row">step:completed</th><td class="n">2,610</td><td class="n doubt">2,610</td>' in page.replace(
        "\n", ""
    )
    assert "run-2 step:s1:completed" in page
    assert "step:completed, from the call" in page
    assert "from the commit" in page
    assert "Events pending at the observer, repetition 2" in page
    figures = figures_of(page)
    assert {"r1-events-backlog-2", "r1-latency-percentiles-deliver"} <= set(figures)
    assert max(figures["r1-events-backlog-2"]["data"][0]["y"]) == 3_120.0  # type: ignore[call-overload]


def test_without_an_observer_there_is_no_section_on_events() -> None:
    assert "Events: should" not in page_of(build_result())


def test_repetitions_without_the_observer_are_labelled_and_what_it_costs_is_told() -> None:
    cost = {"process.per_second": {"ratio": 0.968, "ci95": [0.947, 1.02], "n": 5}}
    result = build_observed_result(build_observed(1), build_baseline(2), outcome={"observer_cost": cost})

    page = page_of(result)

    assert "2 without the observer" in page
    assert "-3.2 % (95 %: -5.3 % to +2.0 %): no difference shown<br>of 5 pairs" in page


def test_an_observer_that_tells_only_what_it_must_is_shown_all_the_same() -> None:
    required = ("transport", "realtime_send", "expected", "stored", "received", "missing", "duplicate", "unexpected")
    whole = build_observed(1)
    events = {**{name: whole.events[name] for name in required}, "delivery_ns": {"from_call": {}, "from_commit": None}}

    page = page_of(build_observed_result(replace(whole, events=events)))

    assert "Events: should, stored, received" in page


def test_every_leaf_of_a_nested_value_is_named() -> None:
    value = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "f": True, "g": {}}

    assert flat(value) == [("a.b", "1"), ("a.c", "1, 2"), ("d.0.e", "-"), ("f", "yes"), ("g", "-")]


def test_bars_start_at_zero_and_hollow_ones_do_not_count() -> None:
    picture = ET.fromstring(str(bars([Bar("0 <warm-up>", 50.0, "50", False), Bar("1", 100.0, "100", True)], "rates")))

    first, second = picture.iter("rect")
    assert float(second.attrib["width"]) == 2 * float(first.attrib["width"])
    assert (first.attrib["class"], second.attrib["class"]) == ("bar hollow", "bar")
