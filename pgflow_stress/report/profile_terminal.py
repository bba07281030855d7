"""The page of `profile`: saturated? whose time? which function, which statement, which wait? what one run can reach."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from pgflow_stress.core.result import Result
from pgflow_stress.report import profile as told
from pgflow_stress.report import words
from pgflow_stress.report.layout import CALL_GRAPHS
from pgflow_stress.report.page import Page
from pgflow_stress.report.printable import printable
from pgflow_stress.report.telemetry import why_one_run_does_not_scale
from pgflow_stress.report.validity import show_verdict

_LEAD = 15
_MOST_ROWS, _MOST_FUNCTIONS, _MOST_WAITS = 14, 8, 6
_NUMBERS = 34  # columns that the numbers before a place take
_LEAST_ROOM = 30
_LINES = 2  # that a place may take
_NAMES = 28  # columns of a function's name, at the least
_SHARES = 52  # that its numbers take


def render_profile(result: Result, console: Console, where_written: Path | str | None = None) -> None:
    """Print one profile.

    Args:
        result: with a profile in it.
        console: of standard error; its width, encoding and NO_COLOR are heeded.
        where_written: the result's directory or file, for the last line.
    """
    page, profile = Page(console, _LEAD), result.profile
    room = _LINES * max(_LEAST_ROOM, console.width - _NUMBERS)
    console.print()
    console.print(Text(page.text(f"{result.scenario['name']}: where the time goes"), style="bold"))
    page.lines("", [words.setting(result)])
    show_verdict(page, result)
    console.print()
    page.lines("saturated", [told.saturation(profile)])
    page.lines("rate", [f"{words.estimate(result, 'process.per_second').mean}, while it was profiled"])
    page.lines("limited by", [words.limited_by(result)])
    if serialised := why_one_run_does_not_scale(result):
        page.lines("one run", [serialised])
    console.print()
    page.table(["workers' time", "a task", "share"], [list(row) for row in told.sides(profile)], 2)
    console.print()
    of = "CPU" if told.measure_of(profile) == "cpu" else "wall"
    rows = [list(row) for row in told.cost_rows(profile, _MOST_ROWS, room)]
    page.table([f"server {of} a task", "share", "calls", "in"], rows, 0, folds=True)
    page.lines("adds up", [told.adding_up(profile)])
    page.lines("by kind", [told.set_up(profile)])
    console.print()
    page.table(
        ["function, itself", "a task", "share", "set-up", "planning", "executing"],
        [list(row) for row in told.function_rows(profile, _MOST_FUNCTIONS, max(_NAMES, console.width - _SHARES))], 5,
    )  # fmt: skip
    if waits := told.wait_rows(profile, _MOST_WAITS, room):
        console.print()
        page.table(["backends held up by", "a task", "in"], [list(row) for row in waits], 0, folds=True)
    if by := told.blocked_by(profile):
        page.lines("", [by])
    console.print()
    _rest(page, result)
    if where_written is not None and (graphs := sorted(Path(where_written).glob(CALL_GRAPHS.replace("{:02d}", "*")))):
        page.lines("", [f"https://www.speedscope.app opens {', '.join(path.name for path in graphs)}"])
    if where_written is not None:
        where = printable(str(where_written))
        console.print(Text(f"{'result':<{_LEAD}}", style="bold").append(where, "not bold"), soft_wrap=True)


def _rest(page: Page, result: Result) -> None:
    if graphs := told.graph_lines(result.profile):
        page.lines("call graphs", graphs)
    page.lines("accounted for", [words.accounted_for(result), *words.audit_words(result)])
    if said := words.labels(result):
        page.lines("read it as", said)
    if not_seen := result.profile["not_seen"]:
        page.lines("not seen", not_seen, "yellow")
    if said := words.gates(result.outcome):
        page.lines("thresholds", said)
    if result.outcome:
        page.lines("ended", words.endings(result.outcome), "red" if result.outcome.get("exit_code") else "")
