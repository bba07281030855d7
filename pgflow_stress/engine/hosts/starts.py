"""When a host's repetitions start, by the database server's clock: as it was told beforehand, or when it is asked."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.result import Json
from pgflow_stress.core.units import NS_PER_SECOND

_LOOK_SECONDS = 0.05
READY = "ready"  # the key of the line that says so


@dataclass(frozen=True, slots=True)
class Start:
    """When all hosts start, and by how much this one is to come after the others; ns."""

    at_ns: int  # the server's wall clock
    delay_ns: int = 0

    @property
    def ours_ns(self) -> int:
        """When this host starts."""
        return self.at_ns + self.delay_ns


class Starts(Protocol):
    """Says when repetitions start."""

    def known(self, index: int) -> Start | None:
        """When a repetition starts, where that is known before it is prepared."""

    def ask(self, index: int, about: Json, check: Callable[[], None]) -> Start:
        """When it starts, now that this host is ready.

        Raises:
            SetUpFault: nobody says.
        """


@dataclass(frozen=True, slots=True)
class TimedStarts:
    """By the clock: the first at a time, the others evenly after it."""

    first_ns: int
    every_ns: int = 0

    def known(self, index: int) -> Start | None:
        """At once."""
        return Start(self.first_ns + index * self.every_ns)

    def ask(self, index: int, about: Json, check: Callable[[], None]) -> Start:  # noqa: ARG002  the protocol's
        """The same."""
        return Start(self.first_ns + index * self.every_ns)


class ToldStarts:
    """Says on standard output, in a line of JSON, that it is ready; a line on standard input says when to start."""

    def known(self, index: int) -> Start | None:  # noqa: ARG002  the protocol's
        """Not before it is asked."""
        return None

    def ask(self, index: int, about: Json, check: Callable[[], None]) -> Start:
        """Wait for the line."""
        line = json.dumps({READY: index, **about}) + "\n"
        os.write(sys.__stdout__.fileno() if sys.__stdout__ else 1, line.encode())
        told = _line(check)
        try:
            document = json.loads(told)
            return Start(int(document["start_at_ns"]), int(document.get("delay_ns", 0)))
        except (ValueError, KeyError, TypeError):
            raise SetUpFault(
                "--start-at -: standard input said nothing that is a start: a line is wanted, "
                '{"start_at_ns": nanoseconds of the database\'s clock}'
            ) from None


def _line(check: Callable[[], None]) -> bytes:
    """A line from standard input, without reading past it; what there is where it ends before."""
    found = b""
    while not found.endswith(b"\n"):
        check()
        if not select.select([0], [], [], _LOOK_SECONDS)[0]:
            continue
        byte = os.read(0, 1)
        if not byte:
            break
        found += byte
    return found


def seconds(ns: int) -> float:
    """For messages."""
    return ns / NS_PER_SECOND
