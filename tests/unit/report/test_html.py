from __future__ import annotations

import os
import re
import shlex
from dataclasses import asdict, replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.cli.commands.run import run
from pgflow_stress.core.latency import histogram_of
from pgflow_stress.core.result import Incident
from pgflow_stress.report.html import flat, render_html, reproduce
from pgflow_stress.report.svg import Bar, bars, percentile_plot, series_plot
from tests.fixtures.results import (
    build_baseline,
    build_observed,
    build_observed_result,
    build_recording,
    build_repetition,
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
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.urls += [value or "" for name, value in attrs if name in ("src", "href")]
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag closed at once: nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_offline_and_has_no_script() -> None:
    page = render_html([(build_result(), build_recording().histograms)])

    outline = Outline(page)
    assert outline.open == []
    assert outline.urls == []
    assert "<script" not in page
    assert not re.search(r"(https?:)?//[a-z]", page)
    assert "@import" not in page
    assert "url(" not in page


def test_headings_descend_one_by_one_and_every_table_has_a_caption() -> None:
    outline = Outline(render_html([(quick_look(), {})]))

    assert outline.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert outline.tables == outline.captions > 5


def test_it_shows_verdict_intervals_plots_and_every_parameter() -> None:
    result = build_result()

    page = render_html([(result, build_recording().histograms)])

    assert ">valid</strong>" in page
    assert "± 2 %" in page
    assert page.count('<svg role="img" aria-label="') == 3
    assert all(f">{name}</th>" in page for name in result.scenario["parameters"])
    assert "settings.wal_level" in page


def test_without_histograms_there_are_figures_and_no_plots() -> None:
    page = render_html([(build_result(), {})])

    assert page.count("<svg") == 1


def test_several_results_are_one_page_with_a_way_to_each() -> None:
    outline = Outline(render_html([(build_result(), {}), (quick_look(), {})]))

    assert outline.urls == ["#result-1", "#result-2"]


def test_text_of_others_is_escaped() -> None:
    incident = Incident("server said", 5, "<script>alert(1)</script>", '"><b>')

    page = render_html([(build_result([build_repetition(1, incidents=[incident])], name="<b>x</b>"), {})])

    assert "<script>alert" not in page
    assert "<b>" not in page


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


def test_flags_and_options_of_the_observer_are_in_the_command_to_reproduce() -> None:
    parameters = {"events": "wal", "observer_delay_ms": 10.0, "observer_cost": True}

    words = shlex.split(reproduce(build_result(parameters=parameters)))
    taken = run.make_context("run", words[2:]).params

    assert (taken["events"], taken["observer_delay"], taken["observer_cost"]) == ("wal", 10.0, True)
    assert "--observer-cost" not in reproduce(build_result(parameters={"observer_cost": False}))


def test_events_have_a_section_with_types_differences_delivery_and_backlog() -> None:
    deliveries = {"deliver_step_started": histogram_of(drawn_latencies_ns(500)), "after_commit": histogram_of([5])}
    page = render_html([(build_observed_result(lossy(1), flooded(2)), deliveries)])

    outline = Outline(page)
    assert outline.open == []
    assert outline.tables == outline.captions
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert "Events: should, stored, received" in page
    assert '<th scope="row">step:completed</th><td class="n">2,610</td><td class="n doubt">2,610</td>' in page
    assert "run-2 step:s1:completed" in page
    assert "step:completed, from the call" in page
    assert "from the commit" in page
    assert "Events pending at the observer, repetition 2" in page
    assert "Delivery by percentile" in page
    assert page.count("<svg") == 3  # the strip, the backlog, the delivery


def test_without_an_observer_there_is_no_section_on_events() -> None:
    assert "Events: should" not in render_html([(build_result(), {})])


def test_repetitions_without_the_observer_are_labelled_and_what_it_costs_is_told() -> None:
    cost = {"process.per_second": {"ratio": 0.968, "ci95": [0.947, 1.02], "n": 5}}
    result = build_observed_result(build_observed(1), build_baseline(2), outcome={"observer_cost": cost})

    page = render_html([(result, {})])

    assert "2 without the observer" in page
    assert "-3.2 % (95 %: -5.3 % to +2.0 %): no difference shown<br>of 5 pairs" in page


def test_an_observer_that_tells_only_what_it_must_is_shown_all_the_same() -> None:
    required = ("transport", "realtime_send", "expected", "stored", "received", "missing", "duplicate", "unexpected")
    whole = build_observed(1)
    events = {**{name: whole.events[name] for name in required}, "delivery_ns": {"from_call": {}, "from_commit": None}}

    page = render_html([(build_observed_result(replace(whole, events=events)), {})])

    assert "Events: should, stored, received" in page


def test_every_leaf_of_a_nested_value_is_named() -> None:
    value = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "f": True, "g": {}}

    assert flat(value) == [("a.b", "1"), ("a.c", "1, 2"), ("d.0.e", "-"), ("f", "yes"), ("g", "-")]


@given(values=st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_a_percentile_plot_stays_within_its_picture(values: list[int]) -> None:
    picture = ET.fromstring(str(percentile_plot(histogram_of(values), len(values), "cycle time")))

    width, height = (float(part) for part in picture.attrib["viewBox"].split()[2:])
    curves = [line.attrib["points"].split() for line in picture.iter("polyline")]
    points = np.array([[float(part) for part in point.split(",")] for curve in curves for point in curve])
    assert np.isfinite(points).all()
    assert (points >= 0).all()
    assert (points[:, 0] <= width).all()
    assert (points[:, 1] <= height).all()


@given(
    points=st.lists(st.tuples(st.floats(-1, 1e4), st.integers(0, 10**9)), max_size=1_000),
    end=st.floats(0, 1e4),
)
def test_a_plot_over_time_stays_within_its_picture_and_keeps_the_highest(
    points: list[tuple[float, int]], end: float
) -> None:
    points.sort()
    picture = ET.fromstring(str(series_plot([at for at, _ in points], [n for _, n in points], end, "pending <events>")))

    width, height = (float(part) for part in picture.attrib["viewBox"].split()[2:])
    _, curve = picture.iter("polyline")
    drawn = [tuple(map(float, point.split(","))) for point in curve.attrib["points"].split()]
    assert len(drawn) <= 401
    assert all(0 <= x <= width and 0 <= y <= height for x, y in drawn)
    highest = max((n for at, n in points if at >= 0), default=0)
    assert f"at most {highest:,.0f}" in picture.attrib["aria-label"]


def test_bars_start_at_zero_and_hollow_ones_do_not_count() -> None:
    picture = ET.fromstring(str(bars([Bar("0 <warm-up>", 50.0, "50", False), Bar("1", 100.0, "100", True)], "rates")))

    first, second = picture.iter("rect")
    assert float(second.attrib["width"]) == 2 * float(first.attrib["width"])
    assert (first.attrib["class"], second.attrib["class"]) == ("bar hollow", "bar")
