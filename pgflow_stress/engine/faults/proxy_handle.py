"""The proxy of one repetition, as the coordinator sees it: forked before the workers, ended after them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from psycopg import ConnectionInfo
from psycopg.conninfo import make_conninfo

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.engine.faults.proxy import ask
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import ProxyOrder, Role
from pgflow_stress.target.base import Database

_READY_SECONDS = 5.0
_PORTS = range(40_000, 40_100)  # names of sockets, nothing listens on TCP


class ProxyHandle:
    """Forks a proxy and knows how to reach the database through it."""

    def __init__(
        self, nursery: Nursery, database: Database, nonce: int, server: ConnectionInfo, embedded: bool
    ) -> None:
        """Returns when it listens.

        Args:
            server: how a connection that there is reaches it.
        Raises:
            SetUpFault: it does not, or not with what guards this server.
        """
        self._nursery = nursery
        self.name = f"pgflow-stress-{nonce:016x}"
        self._socket: Path | None = None
        by_socket = server.host.startswith("/")
        if by_socket and not embedded:  # the server trusts who comes by it: a port would let in others
            raise SetUpFault("--fault cut and stall: a given server is to be reached by TCP: give host=127.0.0.1")
        where: str | tuple[str, int] = (server.hostaddr or server.host, server.port)
        if by_socket:
            folder = Path(server.host)
            free = next(number for number in _PORTS if not (folder / f".s.PGSQL.{number}").exists())
            self._socket, where = folder / f".s.PGSQL.{free}", str(folder / f".s.PGSQL.{server.port}")
        nursery.fork(
            ProxyOrder(
                name=self.name,
                listen=str(self._socket or ""),
                server=where,
                conninfo=database.conninfo,
                embedded=embedded,
            )
        )
        port = self._port_of()
        if by_socket:
            self.conninfo = make_conninfo(database.conninfo, port=str(free))
        else:  # the host's name stays, which its certificate is of; the password file goes by the port
            known = {"password": server.password} if server.password else {}
            self.conninfo = make_conninfo(
                database.conninfo, host=server.host, hostaddr="127.0.0.1", port=str(port), **known
            )

    def _port_of(self) -> int:
        """Wait until it listens; on which port of the loopback, 0 where on none."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                return int(ask(self.name, do="nothing")["port"])
            except OSError:
                if time.monotonic() > deadline:
                    raise SetUpFault("the proxy in front of the server did not start") from None
                time.sleep(0.005)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError, ValueError):
            ask(self.name, do="end")
        self._nursery.ended(Role.PROXY, _READY_SECONDS)
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
