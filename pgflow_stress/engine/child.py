"""What worker and starter have in common: connecting, waiting at a barrier, ending, telling why."""

from __future__ import annotations

import time

import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.orders import ChildExit, State
from pgflow_stress_hot.recorder import Region

_CONNECT_SECONDS = 10.0  # a server that recovers from a crash refuses for a while
_BARRIER_SLEEP_SECONDS = 0.0005


class Ended(Exception):
    """The child has nothing more to do, for this reason."""

    def __init__(self, code: ChildExit) -> None:
        """The code that its process ends with."""
        self.code = code


def connect(arena: Arena, conninfo: str, title: str) -> psycopg.Connection:
    """A connection of this child's own.

    Raises:
        psycopg.Error: it could not be had in time.
    """
    deadline = time.monotonic() + _CONNECT_SECONDS
    name = f"pgflow-stress: {title}"
    while True:
        try:
            return psycopg.connect(conninfo, autocommit=True, application_name=name, connect_timeout=10)
        except psycopg.OperationalError:
            if time.monotonic() > deadline or arena.header[Header.STOP] != Stop.RUN:
                raise
            time.sleep(0.2)


def wait_for(arena: Arena, phase: State) -> None:
    """Wait at the barrier until the phase word says so.

    Raises:
        Ended: the stop word came first.
    """
    while arena.header[Header.PHASE] < phase:
        if arena.header[Header.STOP] >= Stop.NOW:
            raise Ended(ChildExit.DONE)
        time.sleep(_BARRIER_SLEEP_SECONDS)


def tell(region: Region, error: psycopg.Error) -> None:
    """Leave an error in the arena, for the coordinator."""
    state = (error.sqlstate or "08000").encode()
    text = str(error).strip().splitlines()
    region.error(Operation.ROUND_TRIP, False, state, (text[0] if text else type(error).__name__).encode())
