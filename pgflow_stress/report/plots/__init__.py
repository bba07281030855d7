"""Plots as plotly.js draws them, each with its numbers as a table: what is not seen can be read.

A figure is plain JSON: traces and a layout. Colours are names that the page's script takes from its style sheet ("@c1",
"@ink"), so that both themes and print get theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from pgflow_stress.core.result import Json
from pgflow_stress.report.printable import printable
from pgflow_stress.report.tables import Table

COLOURS = 8  # @c1 to @c8 in the style sheet
MOST_TABLE_ROWS = 60


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of a page: `name` is unique within its section, `described` is read out in place of the picture."""

    name: str
    title: str
    described: str
    caption: str
    traces: tuple[Json, ...]
    layout: Json
    table: Table | None = None
    height: int = 340

    @property
    def figure(self) -> Json:
        """What the script draws."""
        return {"data": list(self.traces), "layout": {**self.layout, "height": self.height}}


def colour(number: int) -> str:
    """The name of the n-th colour, from 0 on, over and over."""
    return f"@c{number % COLOURS + 1}"


def label(text: str) -> str:
    """Text of others in a plot: plotly takes tags for formatting and dollar signs for mathematics."""
    return str(escape(printable(text))).replace("$", "&#36;")


def axis(title: str, **more: Any) -> Json:
    """An axis with its title; a second line of it is not cut off."""
    return {"title": {"text": title}, "automargin": True, **more}


def thinned(count: int, most: int = MOST_TABLE_ROWS) -> list[int]:
    """Indexes of at most `most` of `count` rows, evenly, first and last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(number * (count - 1) / (most - 1)) for number in range(most)})


def trace(name: str, x: Sequence[Any], y: Sequence[Any], **more: Any) -> Json:
    """A line."""
    return {"type": "scatter", "mode": "lines", "name": label(name), "x": list(x), "y": list(y), **more}


def merged(*parts: Mapping[str, Any]) -> Json:
    """One layout out of several; of a list in two of them both are kept."""
    whole: Json = {}
    for part in parts:
        for key, value in part.items():
            whole[key] = [*whole[key], *value] if isinstance(value, list) and key in whole else value
    return whole
