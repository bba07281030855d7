"""The process of one interference: does what it is told on a socket of Linux's abstract namespace.

Each command is answered by one line of JSON: what was asked for, or `why` it was not to be had.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from typing import Any

import psycopg

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference import INTERFERENCES
from pgflow_stress.engine.interference.base import Act, Means, NotHeld
from pgflow_stress.engine.orders import ChildExit, InterferenceOrder
from pgflow_stress.engine.pinning import pin
from pgflow_stress.engine.process import leave_signals_to_the_coordinator, title
from pgflow_stress_hot.clock import monotonic_ns

_ORDERLY_SECONDS = 0.2
_PEER = struct.Struct("iII")  # pid, uid, gid


def ask(control: str, patience_seconds: float, **command: Any) -> Json:
    """Have an interference do something; its answer, once it is done.

    Raises:
        OSError: it is not there, or does not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.settimeout(patience_seconds)
        connected.connect(f"\0{control}")
        connected.sendall(json.dumps(command).encode() + b"\n")
        line = connected.makefile().readline()
        if not line:
            raise OSError("it ended without an answer")
        answer: Json = json.loads(line)
        return answer


def interfere(order: InterferenceOrder) -> int:
    """The whole life of it; its exit code. Runs in the forked child."""
    leave_signals_to_the_coordinator()
    title(f"interference {order.name}")
    pin(order.cpus)
    _Process(order).live()
    return int(ChildExit.DONE)


class _Process:
    def __init__(self, order: InterferenceOrder) -> None:
        self._order = order
        self._means = Means(order)
        self._act: Act = INTERFERENCES[order.name].begin(self._means)
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()

    def live(self) -> None:
        """Obey until told to end."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"\0{self._order.control}")
        listener.listen(8)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        self._ended.wait()
        if self._one_at_a_time.acquire(timeout=_ORDERLY_SECONDS):  # else the process's end closes its sessions
            self._act.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            _, uid, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
            if uid != os.geteuid():
                client.close()
                continue
            threading.Thread(target=self._obey, args=(client,), daemon=True).start()

    def _obey(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            command = json.loads(client.makefile().readline() or "{}")
            what = str(command.pop("do", ""))
            if what == "end":  # whatever else is under way
                client.sendall(b"{}\n")
                self._ended.set()
                return
            with self._one_at_a_time:
                answer = self._do(what, command)
            client.sendall(json.dumps(answer).encode() + b"\n")

    def _do(self, what: str, parameters: Json) -> Json:
        if what == "hello":
            return {"pid": os.getpid()}
        try:
            found = getattr(self._act, what)(**parameters)
        except NotHeld as why:
            return {"why": str(why)}
        except (psycopg.Error, OSError, MemoryError, RuntimeError) as error:  # RuntimeError: no thread to be had
            lines = str(error).strip().splitlines() or [""]
            return {"why": f"{type(error).__name__}: {lines[0]}"}
        return {"found": found, "at_ns": monotonic_ns(), "backends": self._means.backends}
