"""Signals while results are written: the first waits until they are, the second does not."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, NoReturn, Self

from pgflow_stress.core.ending_signals import answered
from pgflow_stress.core.errors import Interrupted


def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    """A handler: end where it strikes."""
    raise Interrupted(f"interrupted by {signal.Signals(number).name}")


def answer_signals() -> None:
    """Let each ending signal raise Interrupted."""
    for number in answered():
        signal.signal(number, interrupt)


def ignore_signals() -> None:
    """The code is decided: a late second Ctrl-C must not make the interpreter's own end a death by signal."""
    for number in answered():
        signal.signal(number, signal.SIG_IGN)


class Patience:
    """A block that outlasts one signal; `came` says afterwards whether one did."""

    def __init__(self, already: bool = False) -> None:
        """`already`: one came before, so that the next one is the second."""
        self.came = False
        self._left = 0 if already else 1
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the handlers over."""
        for number in answered():
            handler = signal.getsignal(number)
            if callable(handler):  # neither ignored nor set outside Python
                self._before[number] = handler
                signal.signal(number, self._wait)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _wait(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        self._left -= 1
        if self._left < 0:
            interrupt(number, frame)
