"""The HTTP side: a port on the loopback, taken before anything is forked, served by a thread of the coordinator.

The thread reads nothing but the latest snapshot: neither the arena nor the database, so that no scrape, however slow or
frequent, is felt by a process that works.
"""

from __future__ import annotations

import os
import socketserver
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client.exposition import make_wsgi_app
from prometheus_client.registry import CollectorRegistry

from pgflow_stress.cli.exposing.families import Exposed
from pgflow_stress.cli.exposing.snapshot import Snapshot
from pgflow_stress.core.errors import UsageFault

LOOPBACK = "127.0.0.1"
_CLIENT_SECONDS = 5  # that a client may take for its request
_LOOK_SECONDS = 0.1  # how long the end of the run may go unnoticed


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        """Without http.server's look-up of a name for the address: there may be no resolver."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to tell."""


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Standard error is the run's."""


class Endpoint:
    """A port that is ours; `serve` begins to answer, `close` gives it back."""

    def __init__(self, port: int) -> None:
        """Take the port; 0 takes any that is free.

        Raises:
            UsageFault: it is taken, or not ours to take.
        """
        self.snapshot = Snapshot()
        registry = CollectorRegistry()
        registry.register(Exposed(lambda: self.snapshot))
        try:
            self._server = _Server((LOOPBACK, port), _Handler)
        except OSError as error:
            raise UsageFault(
                f"--prometheus {port}: cannot listen on {LOOPBACK}:{port}: {error.strerror or error}; give another "
                "port, or 0 for any that is free"
            ) from None
        self._server.set_app(make_wsgi_app(registry))
        self._thread: threading.Thread | None = None
        # Children hold no port of ours: it is free when the coordinator ends, however that is.
        os.register_at_fork(after_in_child=self._server.socket.close)

    @property
    def address(self) -> str:
        """Where to scrape."""
        return f"http://{LOOPBACK}:{self._server.server_port}/metrics"

    def serve(self) -> None:
        """Answer from here on, in a thread: to be called when nothing forks in this process any more."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_LOOK_SECONDS,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the port back; again is no harm."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
