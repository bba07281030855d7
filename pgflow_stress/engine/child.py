"""What worker, starter and observer have in common: a life, connecting, waiting at a barrier, telling why it ended."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable

import numpy as np
import psycopg

from pgflow_stress.core.arena import Arena, Header, Stop, Word
from pgflow_stress.core.errors import StressError
from pgflow_stress.core.operations import Operation
from pgflow_stress.engine.orders import ChildExit, RegionOrder, State, WorkerOrder
from pgflow_stress.engine.pinning import pin
from pgflow_stress.engine.process import leave_signals_to_the_coordinator, title
from pgflow_stress.engine.vitals import count_collections
from pgflow_stress.target.pooler import backend_of
from pgflow_stress_hot.clock import monotonic_ns
from pgflow_stress_hot.recorder import Region

_CONNECT_SECONDS = 10.0  # a server that recovers from a crash refuses for a while
_BARRIER_SLEEP_SECONDS = 0.0005


class Ended(Exception):
    """The child has nothing more to do, for this reason."""

    def __init__(self, code: ChildExit) -> None:
        """The code that its process ends with."""
        self.code = code


def lead(
    arena: Arena,
    order: RegionOrder,
    name: str,
    live: Callable[[Region], ChildExit],
    on_lost: ChildExit = ChildExit.LOST_CONNECTION,
) -> int:
    """The whole life of a child, in its process: its exit code, with the reason for a bad one left in the arena.

    Args:
        name: of the process, for its title.
        live: what it does, on its region of the arena.
        on_lost: what a lost connection ends it with.
    """
    leave_signals_to_the_coordinator()
    title(name)
    pin(order.cpus)
    arena.lay_out(order.size)
    words = arena.words[order.region]
    words[Word.BIRTH_NS] = monotonic_ns()
    words[Word.REPLACES] = 0 if order.replaces_region is None else 1 + order.replaces_region
    words[Word.PID] = os.getpid()
    count_collections(arena.vitals[order.region])
    region = Region(
        words,
        arena.row_bytes(order.region),
        arena.counts[order.region],
        arena.stats[order.region],
        arena.errors[order.region].view(np.uint8),
        max(1, int(arena.header[Header.ONE_SECOND_IN])),
    )
    try:
        return int(live(region))
    except Ended as ended:
        return int(ended.code)
    except StressError as error:
        region.error(Operation.ROUND_TRIP, False, b"?????", str(error).encode())
        return int(ChildExit.REFUSED)
    except psycopg.Error as error:
        tell(region, error)
        lost = error.sqlstate is None or error.sqlstate[:2] in ("08", "57")
        return int(on_lost if lost else ChildExit.REFUSED)
    except Exception as error:
        if os.environ.get("PGFLOW_STRESS_TRACEBACK"):
            traceback.print_exc(file=sys.stderr)
        region.error(Operation.ROUND_TRIP, False, b"?????", f"{type(error).__name__}: {error}".encode())
        return int(ChildExit.BROKEN)


def connect(arena: Arena, order: WorkerOrder, title: str) -> psycopg.Connection:
    """A connection of this child's own, tried for as long as its order says, where that is longer than usual.

    Raises:
        psycopg.Error: it could not be had in time.
    """
    deadline = time.monotonic() + max(_CONNECT_SECONDS, order.options.reconnect_seconds)
    name = order.application_name(title)
    while True:
        try:
            connection = psycopg.connect(order.conninfo, autocommit=True, application_name=name, connect_timeout=10)
            if order.pooler is not None:
                connection.prepare_threshold = None  # what psycopg would prepare may be on another backend later
            return connection
        except psycopg.OperationalError:
            if time.monotonic() > deadline or arena.header[Header.STOP] != Stop.RUN:
                raise
            time.sleep(0.2)


def own_backend(order: WorkerOrder, connection: psycopg.Connection) -> int:
    """The number of the backend that is this connection's alone; 0 where a pooler shares backends."""
    if order.pooler is None:
        return connection.info.backend_pid
    return 0 if order.shares_backends else backend_of(connection)


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
