"""Every connection of the server taken by somebody else, and a worker without its own: it tries until there is one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from pgflow_stress.core.arena import Word
from pgflow_stress.engine.faults.base import Blow, Fault, Ground, Missed
from pgflow_stress.engine.faults.kill_backend import see_reconnects, terminate

_LASTS_SECONDS = 2.0
_MOST_CONNECTIONS = 1000  # of a server that would take more, no exhaustion is to be had so
_TOO_MANY = "53300"
_FREE_SECONDS = 2.0
_QUIET_SECONDS = 0.2
_LOOK_SECONDS = 0.005


def _strike(ground: Ground, blow: Blow) -> None:
    region = ground.a_worker()
    slot, backend = ground.slot_of(region), ground.word(region, Word.BACKEND_PID)
    seconds = blow.strike.spec.lasts_seconds or _LASTS_SECONDS
    with contextlib.ExitStack() as taken:
        looking = taken.enter_context(ground.connect())
        opened = _take_all(ground, taken)
        blow.struck(f"connections, worker {slot} without its own", slot)
        with _standing_still(ground.word(region, Word.PID)):  # else its place would be its own again
            terminate(ground, blow, looking, [backend])
            again = _take_when_free(ground, taken)
        blow.held(connections_taken=opened + again, refused_with=_TOO_MANY)
        # Others of ours leave meanwhile, a worker that was replaced for one: their places are not the worker's.
        ground.until(lambda: _take_all(ground, taken) < 0, seconds)
        waited = ground.word(region, Word.BACKEND_PID) == backend
    if not waited:
        blow.held_ns = 0
        raise Missed("the worker had a connection again before all were taken")
    see_reconnects(ground, blow, [region])


@contextlib.contextmanager
def _standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _take_when_free(ground: Ground, taken: contextlib.ExitStack[Any]) -> int:
    """Until none was free for a while: the place of a session that is gone is free a moment later."""
    began = quiet_since = time.monotonic()
    opened = 0
    while not (opened and time.monotonic() - quiet_since > _QUIET_SECONDS):
        if time.monotonic() - began > _FREE_SECONDS:
            break
        if more := _take_all(ground, taken):
            opened, quiet_since = opened + more, time.monotonic()
        time.sleep(_LOOK_SECONDS)
    return opened


def _take_all(ground: Ground, taken: contextlib.ExitStack[Any]) -> int:
    """Connect until the server refuses; how many that were."""
    for opened in range(_MOST_CONNECTIONS):
        connection = ground.connect_if_let()
        if connection is None:
            return opened
        taken.enter_context(connection)
    raise Missed(f"the server takes more than {_MOST_CONNECTIONS} connections")


EXHAUST_CONNECTIONS = Fault(
    "exhaust-connections", "every connection of the server taken for 2 s by default, and a worker's own terminated",
    _strike, lasts_seconds=_LASTS_SECONDS, own_server=True,
)  # fmt: skip
