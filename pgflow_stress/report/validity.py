"""Whether a result is valid, and why not: the lines of a terminal's pages."""

from __future__ import annotations

from pgflow_stress.core.result import Result
from pgflow_stress.report import words
from pgflow_stress.report.page import Page

_STYLES = {"valid": "bold green", "quick look": "bold yellow", "not valid": "bold red"}
_MOST_REASONS = 3


def show_verdict(page: Page, result: Result) -> None:
    """`valid`, `quick look` or `not valid`, and the first reasons."""
    headline = words.headline(result)
    reasons = list(result.verdict.reasons[:_MOST_REASONS])
    if more := len(result.verdict.reasons) - len(reasons):
        reasons.append(f"and {more} more")
    page.lines(headline, reasons or ["long enough, repetitions agree, audit ok"], _STYLES[headline].split()[-1])
