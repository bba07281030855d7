"""The rows of a terminal: what is written to a pty, and when nothing is."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest
from rich.text import Text

from pgflow_stress.cli.live.screen import USUAL, Screen


@dataclass
class Terminal:
    """Both ends of a pty that is nobody's controlling terminal."""

    master: int
    stream: TextIO

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def written(self) -> str:
        text = b""
        while select.select([self.master], [], [], 0.05)[0]:
            text += os.read(self.master, 65536)
        return text.decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    master, slave = os.openpty()
    tty.setraw(slave)  # what is written comes out as it is
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield Terminal(master, stream)
    os.close(master)


def rows(*texts: str) -> list[Text]:
    return [Text(text) for text in texts]


def test_rows_are_drawn_in_place_and_taken_away_without_a_trace(terminal: Terminal) -> None:
    screen = Screen(terminal.stream)

    screen.show(rows("one", "two"))
    assert terminal.written() == "one\x1b[K\ntwo\x1b[J\r"
    screen.show(rows("three"))
    assert terminal.written() == "\r\x1b[1A\x1b[Jthree\x1b[J\r"
    screen.close()
    assert terminal.written() == "\r\x1b[J"


def test_a_line_that_stays_goes_above_and_sends_no_command_of_others(terminal: Terminal) -> None:
    screen = Screen(terminal.stream)
    screen.show(rows("one"))
    terminal.written()

    screen.above("lost \x1b[2J[not markup]")
    screen.show(rows("one"))

    assert terminal.written() == "\r\x1b[Jlost \\x1b[2J[not markup]\none\x1b[J\r"


def test_nothing_hides_the_cursor_or_takes_another_screen(terminal: Terminal) -> None:
    screen = Screen(terminal.stream)
    screen.show(rows("one", "two"))
    screen.above("a line")
    screen.show(rows("one"))
    screen.close()

    assert "\x1b[?" not in terminal.written()


def test_a_terminal_that_no_longer_fits_the_rows_is_cleared_and_the_lines_above_come_again(terminal: Terminal) -> None:
    terminal.resize(40, 10)
    screen = Screen(terminal.stream)
    screen.above("a line")
    screen.show(rows("x" * 30, "y"))
    terminal.written()

    terminal.resize(20, 10)
    screen.show(rows("x" * 19))

    assert terminal.written() == "\x1b[H\x1b[2Ja line\n" + "x" * 19 + "\x1b[J\r"


def test_a_terminal_that_still_fits_them_or_grows_is_only_drawn_anew(terminal: Terminal) -> None:
    terminal.resize(40, 10)
    screen = Screen(terminal.stream)
    screen.show(rows("x" * 20))
    for columns in (20, 200):
        terminal.written()
        terminal.resize(columns, 10)
        screen.show(rows("x" * 19))

        assert terminal.written() == "\r\x1b[J" + "x" * 19 + "\x1b[J\r"


def test_a_stopped_terminal_holds_nothing_up_and_gets_its_lines_later(terminal: Terminal) -> None:
    screen = Screen(terminal.stream)
    termios.tcflow(terminal.stream.fileno(), termios.TCOOFF)  # as Ctrl-S does
    screen.show(rows("one"))
    screen.above("a line")
    assert terminal.written() == ""

    termios.tcflow(terminal.stream.fileno(), termios.TCOON)
    screen.close()

    assert terminal.written() == "a line\n"


def test_a_reader_that_is_far_behind_holds_nothing_up(terminal: Terminal) -> None:
    screen = Screen(terminal.stream)

    for _ in range(2_000):  # far more than a pty holds
        screen.show(rows("x" * 79, "y" * 79))

    assert len(terminal.written()) < 2_000 * 158


def test_a_terminal_that_is_gone_is_borne() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        screen = Screen(stream)
        screen.show(rows("one"))
        os.close(master)

        screen.show(rows("two"))
        screen.above("a line")
        screen.close()


def test_a_terminal_that_does_not_know_its_size_has_the_usual_one(terminal: Terminal) -> None:
    terminal.resize(0, 0)

    assert Screen(terminal.stream).size() == USUAL


def test_no_color_leaves_no_color(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    colored = Screen(terminal.stream)
    colored.show([Text("one", "green")])
    assert "\x1b[32m" in terminal.written()

    monkeypatch.setenv("NO_COLOR", "1")
    plain = Screen(terminal.stream)
    plain.show([Text("one", "green")])

    assert terminal.written() == "one\x1b[J\r"
