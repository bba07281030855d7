"""A table as a page shows it: plain data, so that every plot can have one beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Marked:
    """A cell that stands out: `mark` is `doubt` or `failed`."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class Folded:
    """A long text of which the head is shown, and all of it where it is asked for."""

    head: str
    whole: str


Cell = str | Marked | Folded


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; the first cell of a row names it, the last `numbers` before `more` are right-aligned."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: int = 0
    more: int = 0  # columns of text behind the numbers

    def is_number(self, column: int) -> bool:
        """Whether a column, from 0 on, is right-aligned."""
        end = len(self.header) - self.more
        return end - self.numbers <= column < end


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]], numbers: int = 0, more: int = 0) -> Table:
    """A table out of any rows; what is no cell is written as Python does."""
    return Table(
        caption,
        tuple(header),
        tuple(tuple(cell if isinstance(cell, str | Marked | Folded) else str(cell) for cell in row) for row in rows),
        numbers,
        more,
    )


def pairs(caption: str, rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values."""
    return table(caption, ("name", "value"), rows)


def folded(text: str, characters: int = 110) -> str | Folded:
    """A text that is folded where it has more than so many characters."""
    return text if len(text) <= characters else Folded(f"{text[: characters - 1]}…", text)
