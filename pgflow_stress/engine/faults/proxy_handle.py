"""The proxy of one repetition, as the coordinator sees it: forked before the workers, ended after them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.engine.faults.proxy import ask
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import ProxyOrder, Role
from pgflow_stress.target.base import Database

_READY_SECONDS = 5.0
_PORTS = range(40_000, 40_100)  # names of sockets, nothing listens on TCP


class ProxyHandle:
    """Forks a proxy and knows how to reach the database through it."""

    def __init__(self, nursery: Nursery, database: Database, nonce: int) -> None:
        """Returns when it listens.

        Raises:
            SetUpFault: it does not.
        """
        self._nursery = nursery
        self.name = f"pgflow-stress-{nonce:016x}"
        told = conninfo_to_dict(database.conninfo)
        folder, port = Path(str(told["host"])), str(told.get("port") or 5432)
        free = next(number for number in _PORTS if not (folder / f".s.PGSQL.{number}").exists())
        self.conninfo = make_conninfo(database.conninfo, port=str(free))
        self._socket = folder / f".s.PGSQL.{free}"
        nursery.fork(
            ProxyOrder(
                name=self.name,
                listen=str(self._socket),
                server=str(folder / f".s.PGSQL.{port}"),
                conninfo=database.conninfo,
                embedded=True,
            )
        )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                ask(self.name, do="nothing")
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise SetUpFault("the proxy in front of the server did not start") from None
                time.sleep(0.005)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, ValueError):
            ask(self.name, do="end")
        self._nursery.ended(Role.PROXY, _READY_SECONDS)
        self._socket.unlink(missing_ok=True)
