"""What `calibrate` shows: a line a figure, median with range, what is to be reached and whether it was."""

from __future__ import annotations

import re
import textwrap

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgflow_stress.analysis import formats
from pgflow_stress.core.calibration import Calibration, Figure, Part

_TITLES = {
    "clock": "clock", "recorder": "recorder", "client": "client, select 1", "disk": "durable commits",
    "ceiling": "ceiling inside the server",
}  # fmt: skip
_GROUPS = {
    "single": "one at a time",
    "pipeline_one_sync": "100 in flight, one Sync",
    "pipeline_sync_each": "100 in flight, a Sync each",
    "connections_1": "1 connection", "connections_4": "4 connections", "connections_16": "16 connections",
}  # fmt: skip
_ASCII = str.maketrans({"–": "-", "≥": ">=", "≤": "<="})


def render_calibration(calibration: Calibration, console: Console) -> None:
    """Print every measurement; only where something is to be reached does a line judge."""
    plain = not console.encoding.lower().startswith("utf")
    for name, part in calibration.parts.items():
        console.print()
        console.print(Text(_TITLES.get(name, name), style="bold"))
        if part.reason is not None:
            _wrapped(console, f"not measured: {part.reason}", "yellow")
        else:
            _figures(console, part, plain)
    console.print()
    _wrapped(console, _how(calibration), "dim")


def _figures(console: Console, part: Part, plain: bool) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    for column in ("", "median", "range", "n", "to reach"):
        table.add_column(column, justify="left" if column in ("", "to reach") else "right", no_wrap=True)
    above = ""
    for name, figure in part.figures.items():
        group, _, leaf = name.rpartition(".")
        if group != above:
            table.add_row(_GROUPS.get(group, group.replace("_", " ")))
            above = group
        title = f"  {_title(leaf)}" if group else _title(leaf)
        if figure.n:
            cells = (title, _number(figure.headline, figure), _range(figure), str(figure.n), _reach(figure))
        else:
            cells = (title, formats.ABSENT, "", "0", "")
        table.add_row(*(Text(cell.translate(_ASCII) if plain else cell, _style(figure)) for cell in cells))
    console.print(table)
    for reason in sorted({figure.reason for figure in part.figures.values() if figure.reason}):
        names = [_title(name) for name, figure in part.figures.items() if figure.reason == reason]
        _wrapped(console, f"not measured: {', '.join(names)}: {reason}", "yellow")


def _title(name: str) -> str:
    """`client_cpu_ns_per_query` as a person reads it: the unit is in its value, whose CPU is said above."""
    return (
        re.sub(r"_ns\b|_ns(?=_)|_per_second|_ratio\b|client_(?=cpu)", "", name).replace("_", " ").replace("cpu", "CPU")
    )


def _number(value: float | None, figure: Figure) -> str:
    if value is None:
        return formats.ABSENT
    if figure.unit == "ns":
        return formats.duration_ns(value)
    if figure.unit == "ratio":
        return f"{value:.3f}"
    return f"{formats.significant(value)}/s"


def _range(figure: Figure) -> str:
    low, high = figure.range or (None, None)
    return f"{_number(low, figure)} – {_number(high, figure)}" if figure.n > 1 else ""


def _reach(figure: Figure) -> str:
    if figure.reach is None:
        return ""
    return f"{'≤' if figure.at_most else '≥'} {figure.reach:g}{'' if figure.reached else '  missed'}"


def _style(figure: Figure) -> str:
    return "yellow" if figure.reached is False else ""


def _how(calibration: Calibration) -> str:
    pinned = ", ".join(f"{role} on {','.join(map(str, cpus))}" for role, cpus in calibration.pin.items())
    placed = f"pinned: {pinned}" if pinned else "not pinned: single queries vary threefold with the cores' choice"
    return f"{calibration.seconds:g} s a repeat; {placed}"


def _wrapped(console: Console, text: str, style: str) -> None:
    for line in textwrap.wrap(text, max(20, console.width), break_on_hyphens=False):
        console.print(Text(line, style), soft_wrap=True)
