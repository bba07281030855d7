"""What an interference is and what it may touch. Each has a process of its own, which the coordinator tells when.

An interference takes hold by what is measured, never because it was asked for: `hold` returns what shows that it is
there, `still` what shows that it was there to the end, `release` what shows that it is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pgflow_stress.core.result import Json
from pgflow_stress.engine.orders import InterferenceOrder
from pgflow_stress_hot.clock import monotonic_ns

if TYPE_CHECKING:  # psycopg is not wanted before its libpq is chosen
    import psycopg

PROOF_SECONDS = 10.0  # what is not seen by then did not take hold
RECOVERY_SECONDS = 5.0  # most that is waited for what shows that it is gone
_LOOK_SECONDS = 0.005


class NotHeld(Exception):
    """It did not take hold, or not to the end; the text says why."""


class Act(Protocol):
    """One interference at work, in its own process."""

    def hold(self) -> Json:
        """Begin, and return what shows that it is there. Raises NotHeld, psycopg.Error or OSError."""

    def still(self) -> Json:
        """What shows that it was there until now; likewise."""

    def release(self) -> Json:
        """End, and return what shows that it is gone, with the seconds that took; likewise."""

    def close(self) -> None:
        """Whatever state it is in: leave nothing."""


@dataclass
class Means:
    """What an interference works with: sessions of its own."""

    order: InterferenceOrder
    opened: list[psycopg.Connection[Any]] = field(default_factory=list)
    backends: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The N of NAME:N."""
        return self.order.count or 0

    def connect(self) -> psycopg.Connection[Any]:
        """One more session, which is closed with the others.

        Raises:
            psycopg.Error: it cannot be had.
        """
        import psycopg  # noqa: PLC0415  see the top

        connection = psycopg.connect(
            self.order.conninfo, autocommit=True, application_name=application_name(self.order.name), connect_timeout=10
        )
        self.opened.append(connection)
        self.backends.append(int(value(connection, "select pg_backend_pid()")))
        return connection

    def close(self) -> None:
        """Close all sessions."""
        for connection in self.opened:
            connection.close()


@dataclass(frozen=True, slots=True)
class Interference:
    """One kind."""

    name: str
    about: str
    begin: Callable[[Means], Act]
    counts: str = ""  # what the N of NAME:N is; empty: there is none
    most: int = 0  # of N
    timed: bool = True  # whether it can be for a part of the window


def application_name(kind: str) -> str:
    """Of every session of a kind."""
    return f"pgflow-stress: interference {kind}"


def value(connection: psycopg.Connection[Any], query: str, parameters: Sequence[object] = ()) -> Any:
    """The first column of the first row; None where there is none."""
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return None if row is None else row[0]


def until(holds: Callable[[], bool], seconds: float) -> float | None:
    """Wait for something: the seconds that it took; None where it did not come in time."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


def since(stamp_ns: int) -> float:
    """Seconds from a stamp of CLOCK_MONOTONIC until now."""
    return round((monotonic_ns() - stamp_ns) / 1e9, 4)
