"""The last rows of a terminal, drawn over and over below whatever else is written.

The cursor waits at the begin of the last row and is never hidden: a program that is killed leaves none invisible. What
a terminal does to rows that have become too long for it differs: some wrap them, some cut them. So when that happens
all that is shown is cleared (the scrollback stays), and the last lines above are written again.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from collections.abc import Sequence
from typing import TextIO

from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from pgflow_stress.report.printable import printable

USUAL = os.terminal_size((80, 24))
_UP = "\x1b[{}A"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"
_CLEAR_ALL = "\x1b[H\x1b[2J"
_MOST_KEPT = 100  # lines above, to be written again
_LAST_SECONDS = 0.5  # that a terminal which takes nothing is waited for at the end


class Screen:
    """Owns the rows; nothing is drawn while the terminal takes nothing, or while another job has it."""

    def __init__(self, stream: TextIO) -> None:
        """`stream`: a terminal's."""
        self._stream = stream
        self._terminal = stream.fileno()
        self._descriptor = _opened_again(self._terminal)
        self._console = Console(file=stream, highlight=False, force_terminal=True)
        self._shown: list[int] = []  # columns of each row that is on the screen
        self._size = self.size()
        self._above: deque[str] = deque(maxlen=_MOST_KEPT)
        self._waiting: list[str] = []  # lines that could not be written yet
        self._cut_off = b""  # what the terminal did not take of the last writing

    def size(self) -> os.terminal_size:
        """Columns and rows now; a terminal that does not know its own has the usual ones."""
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:
            return USUAL
        return size if size.columns and size.lines else USUAL

    def show(self, rows: Sequence[Text]) -> None:
        """Draw these in place of those that are there; each is narrower than the terminal."""
        if not self._is_foreground():
            self._shown = []  # what is there is the shell's to write over
        elif self._takes_more():
            self._write(self._taken_away() + self._lines_above() + self._drawn(rows))
            self._shown = [row.cell_len for row in rows]

    def above(self, line: str) -> None:
        """Write a line that stays; the rows come again with the next drawing."""
        self._waiting.append(printable(line))
        if not self._is_foreground():
            self._shown = []
        if self._takes_more():
            self._write(self._taken_away() + self._lines_above())
            self._shown = []

    def close(self) -> None:
        """Take the rows away and write what waited; lines that come later are written at once."""
        if self._is_foreground() and self._takes_more(_LAST_SECONDS):
            self._write(self._taken_away() + self._lines_above())
        self._shown = []
        if self._descriptor != self._terminal:
            os.close(self._descriptor)
            self._descriptor = self._terminal

    def _taken_away(self) -> str:
        """Up to where the rows begin, and nothing below."""
        size, before = self.size(), self._size
        self._size = size
        if not self._shown:
            return ""
        if size.columns < before.columns and max(self._shown) > size.columns:
            room = max(0, size.lines - len(self._shown) - 1)
            again = list(self._above)[-room:] if room else []
            return _CLEAR_ALL + "".join(f"{line}\n" for line in again)
        up = len(self._shown) - 1
        return "\r" + (_UP.format(up) if up else "") + _CLEAR_BELOW

    def _lines_above(self) -> str:
        lines, self._waiting = self._waiting, []
        self._above.extend(lines)
        return "".join(f"{line}\n" for line in lines)

    def _drawn(self, rows: Sequence[Text]) -> str:
        return f"{_CLEAR_LINE}\n".join(map(self._colored, rows)) + f"{_CLEAR_BELOW}\r"

    def _colored(self, row: Text) -> str:
        """As the console prints it, at a fifth of the cost: nothing of it is to be wrapped, cut or highlighted."""
        segments = Text().append_text(row).render(self._console)  # a style of its own counts as well
        if self._console.no_color:
            segments = Segment.remove_color(segments)
        colors = ColorSystem.STANDARD if self._console.color_system else None
        return "".join(
            segment.style.render(segment.text, color_system=colors) if segment.style else segment.text
            for segment in segments
        )

    def _write(self, text: str) -> None:
        """Past the stream's buffer: what could not be written would be tried again, and fail, at the program's end."""
        left = self._cut_off + text.encode(self._stream.encoding or "ascii", "backslashreplace")
        with contextlib.suppress(OSError):  # the terminal may have gone, or be full; the measurement goes on
            while left:
                left = left[os.write(self._descriptor, left) :]
        self._cut_off = left

    def _takes_more(self, seconds: float = 0.0) -> bool:
        """Whether it takes what is written now: not where it was stopped (Ctrl-S), or its reader is far behind."""
        try:
            writable = bool(select.select([], [self._descriptor], [], seconds)[1])
        except (OSError, ValueError):
            return False
        if writable and self._cut_off:
            self._write("")
        return writable and not self._cut_off

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # not the terminal that controls us: no other job has it
            return True


def _opened_again(terminal: int) -> int:
    """The same terminal by a descriptor of our own, whose writes do not wait; the given one where it has no name."""
    try:
        return os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return terminal
