"""SIGINT, SIGTERM and SIGHUP: raised where nothing is measured, counted where something is."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

from pgflow_stress.core.ending_signals import answered
from pgflow_stress.core.errors import Interrupted


class Interrupts:
    """Counts signals while installed; outside `deferred` blocks one raises Interrupted where it strikes."""

    def __init__(self) -> None:
        """Not installed yet."""
        self.count = 0
        self._deferred = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        """Install the handlers."""
        for number in answered():
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_exception: object) -> None:
        """Put the former handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self._deferred:
            raise Interrupted("interrupted")

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Only count, so that clean-up and measuring are not torn apart."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1

    def check(self) -> None:
        """Raise what was deferred.

        Raises:
            Interrupted: a signal came.
        """
        if self.count:
            raise Interrupted("interrupted")
