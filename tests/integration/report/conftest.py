"""One Chromium for all pages: headless, no network, every request and every word on its console kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass
class Opened:
    """A page, what it asked for, what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def plots(self) -> list[dict[str, Any]]:
        """Of every figure: its id, its size, how many marks of data the picture has."""
        found: list[dict[str, Any]] = self.page.evaluate(
            """() => [...document.querySelectorAll("figure .plot")].map((plot) => ({
                 id: plot.id, width: plot.getBoundingClientRect().width, named: !!plot.ariaLabel,
                 marks: plot.querySelectorAll(".js-line, .point, .hm image, .errorbar, path.js-line").length,
                 drawn: plot.querySelector(".main-svg").getBoundingClientRect().width,
                 ink: getComputedStyle(plot.querySelector(".xtick text, .ytick text")).fill }))"""
        )
        return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail("no Chromium to look at the pages with; type: sudo apt-get install -y chromium")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


def opened(browser: Browser, path: Path, *, scheme: Any = "light", width: int = 1200) -> Opened:
    """The page of a file, once all its plots are drawn."""
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = Opened(context.new_page())
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.on("console", lambda message: found.complaints.append(f"{message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.goto(path.as_uri())
    if found.page.query_selector("#plotly"):
        found.page.wait_for_selector("html[data-plots=drawn]", state="attached")
    return found
