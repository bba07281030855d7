"""Lines with a word in the left column, on a terminal of any width and encoding."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgflow_stress.report.printable import is_plain, printable

_ASCII = str.maketrans({"±": "+/-", "…": "...", "–": "-", "·": ";", "µ": "u", "²": "^2"})
_LEAST_ROOM = 20  # columns beside the left one


class Page:
    """Prints to a console; in ASCII where the stream's encoding has no more."""

    def __init__(self, console: Console, lead: int) -> None:
        """`lead`: columns of the left-hand words."""
        self.console = console
        self.lead = lead
        self.plain = is_plain(console.encoding)

    def text(self, text: str) -> str:
        """What the stream can show of it."""
        text = printable(text)
        return text.translate(_ASCII).encode("ascii", "replace").decode() if self.plain else text

    def lines(self, word: str, lines: Sequence[str], style: str = "") -> None:
        """Each line wrapped beside the left column; no option is broken at its dashes."""
        room = max(_LEAST_ROOM, self.console.width - self.lead)
        for line in lines:
            for part in textwrap.wrap(self.text(line), room, break_on_hyphens=False):
                self.console.print(
                    Text(f"{word:<{self.lead}}", style="bold").append(part, f"not bold {style}"), soft_wrap=True
                )
                word = ""

    def table(self, columns: list[str], rows: list[list[str]], numbers: int, *, folds: bool = False) -> None:
        """Columns without borders: the last `numbers` of them are set right; `folds`: the last may take more lines."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
        for position, column in enumerate(columns):
            right = position >= len(columns) - numbers
            folded = folds and position == len(columns) - 1
            table.add_column(self.text(column), justify="right" if right else "left", no_wrap=not folded)
        for row in rows:
            table.add_row(*(Text(self.text(cell)) for cell in row))
        self.console.print(table)
