"""A proxy between the workers and the server, in its own process: cuts a connection mid-message, or stalls it.

Where the server is the embedded one, it listens beside its socket, in a folder that only its user enters, on a port of
another number, and lets in this user alone. Where it is reached by TCP, it listens on a port of the loopback. What to
do it is told on a socket of Linux's abstract namespace. A thread a direction and connection: what is read is passed on
as it is, its messages only counted.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pgflow_stress.engine.orders import ChildExit, ProxyOrder
from pgflow_stress.engine.process import leave_signals_to_the_coordinator, title

_CHUNK_BYTES = 65_536
_HEADER_BYTES = 5  # a message's type and length
_CONNECT_SECONDS = 5.0
_OVER_KEPT = 8  # connections that are over: what was cut is asked for afterwards
_PEER = struct.Struct("iII")  # pid, uid, gid


def control_address(name: str) -> str:
    """Where it is told what to do."""
    return f"\0{name}"


def ask(name: str, **command: Any) -> dict[str, Any]:
    """Have it do something; its answer, once it is done.

    Raises:
        OSError: it is not there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.connect(control_address(name))
        control.sendall(json.dumps(command).encode() + b"\n")
        answer: dict[str, Any] = json.loads(control.makefile().readline() or "{}")
        return answer


class Frames:
    """Where the messages of one direction begin and end."""

    def __init__(self, *, first_untyped: bool) -> None:
        """`first_untyped`: the client's first message has no type."""
        self._untyped = first_untyped
        self._left = 0  # bytes of the message that is under way
        self._head = b""  # of a message whose length is not known yet

    def pass_by(self, data: bytes) -> None:
        """Take note of what is passed on whole."""
        at = 0
        while at < len(data):
            if self._left:
                taken = min(self._left, len(data) - at)
                self._left -= taken
                at += taken
                continue
            header = _HEADER_BYTES - self._untyped
            taken = min(header - len(self._head), len(data) - at)
            self._head += data[at : at + taken]
            at += taken
            if len(self._head) == header:
                (length,) = struct.unpack("!I", self._head[-4:])
                self._left, self._head, self._untyped = max(0, length - 4), b"", False

    def middle(self, data: bytes) -> tuple[int, str]:
        """(how many bytes of this end within a message, at least 0; that message's type, "" where it is under way)."""
        if self._left or self._head or self._untyped:
            return min(len(data), max(0, self._left - 1)) // 2, ""
        total = len(data)
        if len(data) >= _HEADER_BYTES:
            total = min(total, 1 + struct.unpack("!I", data[1:_HEADER_BYTES])[0])
        return max(1, total // 2), chr(data[0])


class Passage:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket, peer: int, number: int) -> None:
        """Passes on until one of both ends; `peer`: the client's process, or its port where it came by TCP."""
        self.peer = peer
        self.number = number
        self.over = threading.Event()
        self.held_bytes = 0
        self._sockets = {"request": (client, server), "answer": (server, client)}
        self._flowing = threading.Event()
        self._flowing.set()
        self._to_cut = ""
        self._cut: dict[str, Any] = {}
        for direction in self._sockets:
            threading.Thread(target=self._pass, args=(direction,), daemon=True).start()

    def cut(self, direction: str) -> None:
        """End it within the next message of a direction; no more of it where that is ""."""
        self._to_cut = direction

    def what_was_cut(self) -> dict[str, Any]:
        """Empty as long as nothing was."""
        return dict(self._cut)

    def stall(self) -> None:
        """Pass nothing on from now."""
        self._flowing.clear()

    def flow(self) -> dict[str, Any]:
        """Pass on again; what was kept meanwhile."""
        kept, ended = self.held_bytes, self.over.is_set()
        self._flowing.set()
        return {"bytes_kept": kept, "connection_ended": ended}

    def _pass(self, direction: str) -> None:
        source, sink = self._sockets[direction]
        frames = Frames(first_untyped=direction == "request")
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if not self._flowing.is_set():
                    self.held_bytes += len(data)
                    self._flowing.wait()
                    self.held_bytes = 0
                if self._to_cut == direction:
                    kept, kind = frames.middle(data)
                    sink.sendall(data[:kept])
                    self._cut = {
                        "direction": direction,
                        "message": kind,
                        "bytes_passed": kept,
                        "bytes_kept": len(data) - kept,
                    }
                    break
                frames.pass_by(data)
                sink.sendall(data)
        self.over.set()
        self._flowing.set()
        for one in self._sockets["request"]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Proxy:
    def __init__(self, order: ProxyOrder) -> None:
        self._order = order
        self._passages: list[Passage] = []
        self._numbers = itertools.count(1)
        self._joining = threading.Lock()
        self._ended = threading.Event()
        self._port = 0  # of the loopback

    def live(self) -> None:
        """Serve both sockets until told to end."""
        listener = _listening(self._order.listen or ("127.0.0.1", 0))
        if not self._order.listen:
            self._port = int(listener.getsockname()[1])
        for one, serve in ((listener, self._join), (_listening(control_address(self._order.name)), self._obey)):
            threading.Thread(target=_accept, args=(one, serve), daemon=True).start()
        self._ended.wait()
        if self._order.listen:
            Path(self._order.listen).unlink(missing_ok=True)

    def _join(self, client: socket.socket, peer: int) -> None:
        where = self._order.server
        try:
            if isinstance(where, str):
                server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                server.connect(where)
            else:
                server = socket.create_connection(where, _CONNECT_SECONDS)
                server.settimeout(None)
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # it is down: the client hears so at once
            client.close()
            return
        with self._joining:
            over = [one for one in self._passages if one.over.is_set()]
            self._passages = [*over[-_OVER_KEPT:], *(one for one in self._passages if not one.over.is_set())]
            self._passages.append(Passage(client, server, peer, next(self._numbers)))

    def _obey(self, control: socket.socket, _peer: int) -> None:
        with control, contextlib.suppress(OSError, ValueError):
            command = json.loads(control.makefile().readline() or "{}")
            control.sendall(json.dumps(self._do(command)).encode() + b"\n")

    def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        if command.get("do") == "end":
            self._ended.set()
            return {}
        if "pid" not in command:
            return {"port": self._port}
        peers = {int(command["pid"])} if self._order.listen else _ports_of(int(command["pid"]))
        with self._joining:
            there = [one for one in self._passages if one.peer in peers or one.number == command.get("passage")]
        if command.get("do") in ("cut", "stall"):  # its last connection; what is done to it is asked for by its number
            there = [one for one in there if not one.over.is_set()]
            if not there:
                return {}
            if command["do"] == "cut":
                there[-1].cut(str(command["direction"]))
            else:
                there[-1].stall()
            return {"passage": there[-1].number}
        for one in there:
            if one.number == command.get("passage"):
                if command["do"] == "let":
                    one.cut("")
                return one.flow() if command["do"] == "flow" else one.what_was_cut()
        return {}


def _listening(address: str | tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(64)
    return listener


def _ports_of(pid: int) -> set[int]:
    """Of a process's connections by TCP, its own ends."""
    try:
        return {one.laddr.port for one in psutil.Process(pid).net_connections("tcp") if one.laddr}
    except psutil.Error:
        return set()


def _accept(listener: socket.socket, serve: Callable[[socket.socket, int], None]) -> None:
    while True:
        client, address = listener.accept()
        if listener.family != socket.AF_UNIX:
            threading.Thread(target=serve, args=(client, int(address[1])), daemon=True).start()
            continue
        pid, uid, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid != os.geteuid():
            client.close()
            continue
        threading.Thread(target=serve, args=(client, pid), daemon=True).start()


def serve(order: ProxyOrder) -> int:
    """The whole life of the proxy; its exit code. Runs in the forked child."""
    leave_signals_to_the_coordinator()
    title("proxy")
    _Proxy(order).live()
    return int(ChildExit.DONE)
