"""Bars as inline SVG: no script, no font, no colour of their own (they take the page's by CSS class)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH = 640
_BAR_HEIGHT = 22


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its value in words, and whether it counts."""

    label: str
    value: float
    text: str
    counted: bool


def bars(rows: Sequence[Bar], title: str) -> Markup:
    """Horizontal bars from zero, one a repetition; those that do not count are hollow."""
    top = max((row.value for row in rows), default=0) or 1
    height = _BAR_HEIGHT * len(rows) + 8
    room = _WIDTH - 110 - 150
    parts = []
    for number, row in enumerate(rows):
        y = _BAR_HEIGHT * number + 4
        css = "bar" if row.counted else "bar hollow"
        width = room * row.value / top
        parts.append(f'<text class="end" x="102" y="{y + 13}">{escape(row.label)}</text>')
        parts.append(f'<rect class="{css}" x="110" y="{y}" width="{width:.1f}" height="{_BAR_HEIGHT - 7}"/>')
        parts.append(f'<text x="{118 + width:.1f}" y="{y + 13}">{escape(row.text)}</text>')
    described = f"{title}: " + "; ".join(f"{row.label} {row.text}" for row in rows)
    return _svg(_WIDTH, height, described, "".join(parts))


def _svg(width: int, height: int, described: str, body: str) -> Markup:
    label = escape(described)
    return Markup(  # every text in `body` is a number of ours or escaped
        f'<svg class="still" role="img" aria-label="{label}" viewBox="0 0 {width} {height}">'
        f"<title>{label}</title>{body}</svg>"
    )
