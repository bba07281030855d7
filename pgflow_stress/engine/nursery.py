"""The nursery: a single-threaded process, forked before anything else, that forks every child and replacement.

The coordinator may have threads (a live display, a library's) and must then not fork; the nursery never has any. It
dies with the coordinator, and its children die with it.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from typing import Any

import multiprocess
from multiprocess.connection import wait

from pgflow_stress.core.arena import Arena
from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.telemetry import House
from pgflow_stress.engine.orders import (
    Exited,
    InterferenceOrder,
    ObserverOrder,
    Order,
    ProxyOrder,
    Role,
    SamplerOrder,
)
from pgflow_stress.engine.process import die_with_parent, leave_signals_to_the_coordinator, title
from pgflow_stress.engine.vitals import count_collections

_FORK = multiprocess.get_context("fork")


class Nursery:
    """The coordinator's side: order a child, hear of those that ended."""

    def __init__(self, arena: Arena) -> None:
        """Fork the nursery; no thread may exist and no connection be open."""
        self._pipe, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_nursery, args=(theirs, self._pipe, arena, os.getpid()))
        self._process.start()
        self._news: dict[Role, list[Exited]] = {role: [] for role in Role}
        theirs.close()

    def fork(self, order: Order) -> None:
        """Have a child forked."""
        try:
            self._pipe.send(order)
        except OSError:
            raise RunFailed("the nursery process has ended: workers can no longer be forked") from None

    def ended(self, role: Role, timeout_seconds: float = 0) -> list[Exited]:
        """The children in a role that ended since it was last asked for; waits for news at most this long."""
        try:
            while self._pipe.poll(0 if self._news[role] else timeout_seconds):
                one: Exited = self._pipe.recv()
                self._news[one.role].append(one)
                timeout_seconds = 0
        except (EOFError, OSError):
            raise RunFailed("the nursery process has ended, and the workers with it") from None
        news, self._news[role] = self._news[role], []
        return news

    def kill(self) -> None:
        """End the nursery and every child at once."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def close(self) -> None:
        """Let it end; children that still live die with it."""
        if self._process.is_alive():
            self._pipe.close()
            self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _nursery(pipe: Connection, other_end: Connection, arena: Arena, coordinator: int) -> None:
    die_with_parent(coordinator)
    leave_signals_to_the_coordinator()
    title("nursery")
    other_end.close()
    count_collections(arena.house[House.NURSERY])
    children: dict[int, tuple[Order, Any]] = {}  # by sentinel
    while True:
        for ready in wait([pipe, *children]):
            if ready is pipe:
                try:
                    order = pipe.recv()
                except (EOFError, OSError):
                    return
                _load_once(order)
                child = _FORK.Process(target=_child, args=(pipe, arena, order, os.getpid()))
                child.start()
                children[child.sentinel] = (order, child)
            else:
                order, child = children.pop(ready)
                child.join()
                try:
                    pipe.send(Exited(order.role, order.region, child.pid, child.exitcode))
                except OSError:
                    return
                child.close()


def _load_once(order: Order) -> None:
    # Here rather than in each child: libpq and psycopg are loaded once, and every child has them.
    from pgflow_stress.core import libpq  # noqa: PLC0415  the target, and with it the libpq, is known only now

    libpq.choose(order.embedded, "sslmode=require" in order.conninfo or "sslmode=verify" in order.conninfo)
    import pgflow_stress.engine.worker  # noqa: PLC0415

    if order.role is Role.OBSERVER:
        import pgflow_stress.engine.observer  # noqa: PLC0415
    elif order.role is Role.STARTER:
        import pgflow_stress.engine.starter  # noqa: PLC0415
    elif order.role is Role.SAMPLER:
        import pgflow_stress.engine.sampler  # noqa: PLC0415
    elif order.role is Role.PROXY:
        import pgflow_stress.engine.faults.proxy  # noqa: PLC0415
    elif order.role is Role.INTERFERER:
        import pgflow_stress.engine.interference.process  # noqa: F401, PLC0415


def _child(pipe: Connection, arena: Arena, order: Order, nursery: int) -> None:
    die_with_parent(nursery)
    pipe.close()
    if isinstance(order, ObserverOrder):  # all loaded already, by _load_once
        from pgflow_stress.engine.observer import observe  # noqa: PLC0415

        code = observe(arena, order)
    elif isinstance(order, SamplerOrder):
        from pgflow_stress.engine.sampler import sample  # noqa: PLC0415

        code = sample(arena, order)
    elif isinstance(order, ProxyOrder):
        from pgflow_stress.engine.faults.proxy import serve  # noqa: PLC0415

        code = serve(order)
    elif isinstance(order, InterferenceOrder):
        from pgflow_stress.engine.interference.process import interfere  # noqa: PLC0415

        code = interfere(order)
    elif order.role is Role.STARTER:
        from pgflow_stress.engine.starter import start  # noqa: PLC0415

        code = start(arena, order)
    else:
        from pgflow_stress.engine.worker import work  # noqa: PLC0415

        code = work(arena, order)
    os._exit(code)  # nothing of the forked parents' state is to be torn down here
