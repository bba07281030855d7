"""A server's byte stream, recorded between a client and a real server, and played again without one.

File: JSON {"nonce": …, "slug_prefix": …, "steps": …, "answers": [base64, …]}; an answer is what the server sent up to
and with a ReadyForQuery. Played to a client that sends the same messages: one for its start, one for each Query or Sync
(PostgreSQL's frontend/backend protocol 3, message formats).
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102


class Framing:
    """Cuts a byte stream into messages."""

    def __init__(self, *, has_start: bool) -> None:
        """A client's stream begins with messages that have no type."""
        self._held = bytearray()
        self._untyped = has_start

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """(type, whole message) of each message that is complete; type "" has none."""
        self._held += data
        found = []
        while True:
            head = 0 if self._untyped else 1
            if len(self._held) < head + 4:
                return found
            (length,) = struct.unpack_from("!i", self._held, head)
            if len(self._held) < head + length:
                return found
            message = bytes(self._held[: head + length])
            del self._held[: head + length]
            if self._untyped:
                (code,) = struct.unpack_from("!i", message, 4)
                self._untyped = code in (_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST)
                found.append((str(code) if self._untyped else "", message))
            else:
                found.append((chr(message[0]), message))


class Recorder:
    """A proxy in front of a real server's socket that keeps what the server answers."""

    def __init__(self, folder: Path, server_socket: str) -> None:
        """Listen in a folder of its own."""
        self.answers: list[bytes] = []
        self._server_socket = server_socket
        self._listener = _listen(folder)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server_socket)
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        framing, held = Framing(has_start=False), b""
        while data := server.recv(65536):
            for kind, message in framing.feed(data):
                held += message
                if kind == "Z":
                    self.answers.append(held)
                    held = b""
            client.sendall(data)
        client.close()


def _pump(client: socket.socket, server: socket.socket) -> None:
    while data := client.recv(65536):
        server.sendall(data)
    server.close()


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / ".s.PGSQL.5432"))
    listener.listen(1)
    return listener


def play(folder: Path, answers: list[bytes]) -> int:
    """Fork a server that plays the answers to one client; its pid. It ends with the client."""
    listener = _listen(folder)
    child = os.fork()
    if child:
        listener.close()
        return child
    try:
        client, _ = listener.accept()
        framing, left = Framing(has_start=True), iter(answers)
        while data := client.recv(65536):
            out = b""
            for kind, _message in framing.feed(data):
                if kind.isdigit():
                    client.sendall(b"N")
                elif kind in ("", "Q", "S"):
                    out += next(left, b"")
            client.sendall(out)
    finally:
        os._exit(0)


def save(path: Path, answers: list[bytes], **about: Any) -> None:
    """Write a stream with what is needed to play it."""
    document = {**about, "answers": [base64.b64encode(answer).decode() for answer in answers]}
    path.write_text(json.dumps(document) + "\n")


def load(path: Path) -> tuple[list[bytes], dict[str, Any]]:
    """A saved stream: its answers, and what was said about it."""
    document = json.loads(path.read_text())
    return [base64.b64decode(answer) for answer in document.pop("answers")], document
