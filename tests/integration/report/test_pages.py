"""The pages in a real browser: nothing fetched, nothing complained about, every plot drawn, readable by everybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page

from pgflow_stress.cli.app import app
from pgflow_stress.core.result import Result
from pgflow_stress.report.directory import ResultDirectory
from tests.fixtures.comparisons import measured
from tests.fixtures.hostile import MARK, hostile_result
from tests.fixtures.profiles import profiled_result
from tests.fixtures.results import build_recording
from tests.fixtures.sweeps import build_sweep
from tests.integration.report.conftest import Opened, opened

AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def violations(page: Page, kind: str, values: list[str]) -> list[str]:
    """What axe finds by the rules of these tags, or by the rules of these names."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        "([type, values]) => axe.run(document, {runOnly: {type, values}})", [kind, values]
    )
    assert found["passes"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


def written(folder: Path, result: Any) -> Path:
    directory = ResultDirectory(folder)
    for repetition in result.repetitions:
        directory.record(build_recording(repetition.index, warmup=repetition.warmup))
    directory.finish(result)
    return folder


def call(*arguments: str | Path) -> None:
    CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plain results, and an observed one full of hostile text; the pages of all of them."""
    folder = tmp_path_factory.mktemp("pages")
    written(folder / "20261120T120000Z-base", measured(1.0, 5, seed=1))
    written(folder / "20261121T120000Z-candidate", measured(0.8, 5, seed=2))
    written(folder / "hostile", hostile_result())
    call(
        "compare",
        folder / "20261120T120000Z-base",
        folder / "20261121T120000Z-candidate",
        "-o",
        folder / "compare.html",
    )
    call("report", folder / "20261120T120000Z-base", folder / "20261121T120000Z-candidate", "-o", folder / "both.html")
    (folder / "sweep").mkdir()
    (folder / "sweep" / "sweep.json").write_text(json.dumps(build_sweep(SWEPT)))
    call("report", folder / "sweep")
    call("report", "--index", folder)
    written(folder / "profile", long_profile())
    return folder


def long_profile() -> Result:
    """A profile whose statements are as long as pgflow's are."""
    result = profiled_result()
    cost = result.profile["cost"]
    rows = [{**row, "statement": " ".join([row["statement"]] * 20)} for row in cost["rows"]]
    return replace(result, profile={**result.profile, "cost": {**cost, "rows": rows}})


SWEPT = {"steps": ("100", "1000", "10000"), "completion": ("single", "batch"), "dsn": (f"<script>{MARK}</script>", "b")}
PAGES = {
    "hostile/report.html": 8,
    "both.html": 10,
    "compare.html": 5,
    "sweep/report.html": 9,
    "index.html": 0,
    "profile/report.html": 5,
}  # how many plots at least


@pytest.fixture(scope="module")
def open_page(results: Path, browser: Browser) -> Iterator[Callable[[str], Opened]]:
    """Each page is opened once for all that is asked of it."""
    kept: dict[str, Opened] = {}

    def get(name: str) -> Opened:
        if name not in kept:
            kept[name] = opened(browser, results / name)
        return kept[name]

    yield get
    for found in kept.values():
        found.page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fetches_nothing_and_says_nothing_on_its_console(name: str, open_page: Callable[[str], Opened]) -> None:
    found = open_page(name)

    assert [url.split(":")[0] for url in found.requests] == ["file"]
    assert found.complaints == []
    assert found.page.evaluate("window.hostile") is None


@pytest.mark.parametrize(("name", "least"), PAGES.items())
def test_every_plot_is_drawn_with_data_and_has_a_name_and_its_numbers(
    name: str, least: int, open_page: Callable[[str], Opened]
) -> None:
    found = open_page(name)

    plots = found.plots()

    assert len(plots) >= least
    assert [plot for plot in plots if not plot["marks"] or not plot["named"] or plot["width"] < 200] == []
    assert found.page.locator("figure details.data table").count() == len(plots)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_passes_axe_in_both_themes(name: str, open_page: Callable[[str], Opened]) -> None:
    found = open_page(name)
    before = {plot["id"]: plot["ink"] for plot in found.plots()}

    assert violations(found.page, "tag", RULES) == []
    found.page.get_by_role("button", name="Theme").click()
    found.page.get_by_role("button", name="Theme").click()

    assert found.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert violations(found.page, "rule", ["color-contrast"]) == []
    assert all(plot["ink"] != before[plot["id"]] for plot in found.plots())


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_page_does_not_scroll_sideways_and_its_plots_fit(
    name: str, open_page: Callable[[str], Opened]
) -> None:
    found = open_page(name)

    found.page.set_viewport_size({"width": 360, "height": 800})
    for _ in range(100):  # plots follow a resize a moment later
        if all(plot["drawn"] <= 360 for plot in found.plots()):
            break
        found.page.wait_for_timeout(100)

    assert all(plot["drawn"] <= 360 for plot in found.plots())
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert found.complaints == []
    found.page.set_viewport_size({"width": 1200, "height": 800})


def test_the_numbers_of_a_report_are_those_of_its_result(results: Path, open_page: Callable[[str], Opened]) -> None:
    folder = results / "20261120T120000Z-base"
    document = json.loads((folder / "result.json").read_text())
    found = open_page("both.html")

    tile = found.page.locator('#r1 [data-metric="execute.per_second"] .figure').inner_text()
    mean = document["summary"]["execute.per_second"]["mean"]
    assert abs(float(tile.split()[0].replace(",", "")) / mean - 1) < 0.005
    drawn = found.page.evaluate("document.getElementById('r1-throughput-throughput').data.at(-1).y")
    assert max(drawn) > 0
    curve = found.page.evaluate("document.getElementById('r1-latency-percentiles-process').data[0]")
    at = next(n for n, nine in enumerate(curve["x"]) if nine >= 2)
    assert abs(curve["y"][at] / (document["summary"]["process.latency_ns.p50"]["mean"] / 1e6) - 1) < 0.1
    parameters = found.page.locator("#r1-reproduce details table th[scope=row]").all_text_contents()
    assert set(document["scenario"]["parameters"]) <= {name.split(".")[0] for name in parameters}


def test_a_page_is_used_by_keyboard_takes_the_system_s_theme_and_prints_light(results: Path, browser: Browser) -> None:
    page = opened(browser, results / "compare.html", scheme="dark").page

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("details.data summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.data[open]").count() == 1
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.context.close()


def test_hostile_text_is_read_as_text(open_page: Callable[[str], Opened]) -> None:
    heading = open_page("hostile/report.html").page.inner_text("h1")

    assert MARK in heading
    assert "\\x1b[31mred" in heading


def test_the_index_filters_compares_two_and_draws_a_trend(open_page: Callable[[str], Opened]) -> None:
    page = open_page("index.html").page

    assert page.locator("#results tbody tr:visible").count() == 3
    assert page.locator("#trend circle").count() == 3
    page.get_by_label("Text").fill("candidate")
    assert page.locator("#results tbody tr:visible").count() == 1
    assert page.locator("#count").inner_text() == "1 of 3 results"
    page.get_by_label("Text").fill("")
    page.get_by_label("Metric").select_option("process.latency_ns.p50")
    assert "process.latency_ns.p50 of 3 results" in page.locator("#trend-told").inner_text()
    for name in ("base", "candidate"):
        page.locator("#results tbody tr", has_text=f"Z-{name}").locator("input").check()
    row = page.locator("#pair tbody tr", has_text="execute.per_second").first.inner_text()
    assert row.split("\t")[3].startswith("-")
    assert row.split("\t")[4] == "apart"
    assert "'20261120T120000Z-base' '20261121T120000Z-candidate'" in page.locator("#pair pre").inner_text()
    assert page.locator("#results a").first.get_attribute("href") == "20261120T120000Z-base/report.html"
