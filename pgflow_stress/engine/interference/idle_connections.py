"""Connections that do nothing: each is a process of the server, and a place in what every snapshot looks through."""

from __future__ import annotations

import time

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference.base import (
    PROOF_SECONDS,
    RECOVERY_SECONDS,
    Act,
    Interference,
    Means,
    NotHeld,
    application_name,
    until,
    value,
)

NAME = "idle-connections"
_MOST = 10_000
_THERE = "select count(*) from pg_stat_activity where pid = any(%s) and state = 'idle'"
_LEFT = "select count(*) from pg_stat_activity where pid = any(%s) and application_name = %s"


class _IdleConnections(Act):
    def __init__(self, means: Means) -> None:
        self._means = means

    def hold(self) -> Json:
        """The server lists all of them as idle."""
        began = time.monotonic()
        self._looking = self._means.connect()
        idle = [self._means.connect() for _ in range(self._means.count)]
        self._idle = idle
        self._pids = self._means.backends[1:]
        opened = time.monotonic() - began
        if until(lambda: self._seen() == self._means.count, PROOF_SECONDS) is None:
            raise NotHeld(f"the server lists {self._seen()} of {self._means.count} as idle")
        return {
            "connections": self._means.count,
            "idle_by_the_server": self._seen(),
            "opened_seconds": round(opened, 3),
        }

    def still(self) -> Json:
        """And does so at the end."""
        seen = self._seen()
        if seen != self._means.count:
            raise NotHeld(f"at the end the server listed {seen} of {self._means.count} as idle")
        return {"idle_at_the_end": seen}

    def release(self) -> Json:
        """Close them; the seconds until the server has none left."""
        for connection in self._idle:
            connection.close()
        name = application_name(NAME)
        gone = until(lambda: value(self._looking, _LEFT, (self._pids, name)) == 0, RECOVERY_SECONDS)
        return {"gone_seconds": gone}

    def close(self) -> None:
        """All of them."""
        self._means.close()

    def _seen(self) -> int:
        return int(value(self._looking, _THERE, (self._pids,)))


IDLE_CONNECTIONS = Interference(
    NAME, "N sessions that do nothing", _IdleConnections, counts="connections", most=_MOST
)  # fmt: skip
