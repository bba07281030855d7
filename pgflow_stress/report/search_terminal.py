"""What `find-max` found, as a person reads it at a glance: the answer first, then the path to it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.found import Found, Window
from pgflow_stress.analysis.metrics import METRICS
from pgflow_stress.analysis.searching import CONFIRMATIONS, Outcome
from pgflow_stress.analysis.threshold import Threshold

_LEAD = 14  # columns of the left-hand words
_STYLES = {Outcome.UNDECIDED: "yellow", Outcome.HELD: "green", Outcome.FAILED: "red", Outcome.INVALID: "yellow"}
_ASCII = str.maketrans({"–": "-", "±": "+/-"})


def render_search(scenario: str, limits: Sequence[Threshold], found: Found, console: Console) -> None:
    """Print the answer, what limits it, and every window.

    Args:
        scenario: its name.
        limits: what had to hold.
        found: of at least one window.
        console: of standard error; its width, encoding and NO_COLOR are heeded.
    """
    console.print()
    console.print(Text(f"find-max {scenario}", style="bold"))
    _lines(console, "under", [limit.text for limit in limits])
    _lines(console, "answer", [answer_words(found)], "bold" if found.is_sure else "yellow")
    _lines(console, "estimate", [estimate_words(found)])
    _lines(console, "limited by", list(found.limited_by) or ["nothing that was tried"])
    console.print()
    console.print(_path(limits, found.windows, plain=not console.encoding.lower().startswith("utf")))


def answer_words(found: Found) -> str:
    """The answer in one line, with what makes it less than sure."""
    if found.per_second is None:
        why = "broken off" if found.ended is None else str(found.ended)
        held = found.highest_held
        also = "" if held is None else f"; the highest rate that held in a window is {formats.rate(held, 'runs/s')}"
        return f"none: {why}{also}"
    rate = formats.rate(found.per_second, "runs/s")
    tasks = formats.rate(found.per_second * found.tasks_per_run, "tasks/s")
    sure = "" if found.is_sure else f"; cannot tell what is above: {found.ended}"
    return f"{rate} ({tasks}), held in {CONFIRMATIONS} of {CONFIRMATIONS} windows{sure}"


def estimate_words(found: Found) -> str:
    """The fit with its interval, in one line."""
    fitted = found.crossing
    if fitted is None:
        return "none: of the windows some must hold and some must not"
    low, high = formats.significant(fitted.low), formats.significant(fitted.high)
    rests = "latencies" if fitted.method == "line" else "which windows held"
    return f"{formats.rate(fitted.per_second, 'runs/s')} [95 %: {low} to {high}], a monotone fit of {rests}"


def _path(limits: Sequence[Threshold], windows: Sequence[Window], *, plain: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="dim", expand=True)
    names = [limit.metric.replace(".latency_ns.", " ") for limit in limits]
    table.add_column("path", no_wrap=True)
    for column in ("runs/s", "seconds", *dict.fromkeys(names), "backlog/s <"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)  # it alone gives way
    for window in windows:
        grown = window.seen.growth
        cells = [
            str(window.phase),
            formats.significant(window.per_second),
            f"{window.seconds:g}",
            *(METRICS[metric].format(window.seen.latencies_ns[metric]) for metric in window.seen.latencies_ns),
            formats.ABSENT if grown is None else formats.significant(grown.upper, 2),
            "; ".join((str(window.held.outcome), *window.held.reasons[:1])),
        ]
        style = _STYLES[window.held.outcome]
        table.add_row(*(Text(cell.translate(_ASCII) if plain else cell, style) for cell in cells))
    return table


def _lines(console: Console, lead: str, lines: Sequence[str], style: str = "") -> None:
    room = max(20, console.width - _LEAD)
    for line in lines:
        for part in textwrap.wrap(line, room, break_on_hyphens=False):
            console.print(Text(f"{lead:<{_LEAD}}", style="bold").append(part, f"not bold {style}"), soft_wrap=True)
            lead = ""
