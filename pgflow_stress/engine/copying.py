"""Rows of three integers out of a binary COPY, as columns: how the coordinator reads large tables after a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

HEADER_BYTES = 19  # signature, flags and length of an extension that is never there
_AT_ONCE_BYTES = 1_000_000
_SIGNATURE = b"PGCOPY"
_TRIPLE = np.dtype(
    {
        "names": ["first", "second", "third"],
        "formats": [">i8", ">i4", ">i4"],
        "offsets": [6, 18, 26],  # after the number of fields (2 bytes) and each one's length (4)
        "itemsize": 30,
    }
)


def pieces(connection: psycopg.Connection[Any], query: Any, use: Callable[[bytes], int]) -> None:
    """Hand a COPY … TO STDOUT (FORMAT binary) on in pieces, each beginning with a row.

    Args:
        use: takes a piece and says how many of its bytes it used; the rest comes again, with more.
    """
    held = bytearray()
    for data in _received(connection, query):
        held += data
        if len(held) > _AT_ONCE_BYTES:
            del held[: use(bytes(held))]
    use(bytes(held))


def _received(connection: psycopg.Connection[Any], query: Any) -> Iterator[bytes]:
    """What the server sends, without its header."""
    head = bytearray()
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            if len(head) >= HEADER_BYTES:
                yield bytes(data)
                continue
            head += data
            if len(head) >= HEADER_BYTES:
                assert head[: len(_SIGNATURE)] == _SIGNATURE
                yield bytes(head[HEADER_BYTES:])


def triples(connection: psycopg.Connection[Any], query: Any) -> Iterator[npt.NDArray[np.void]]:
    """Rows (int8, int4, int4) of a COPY: arrays with the fields first, second, third, in parts as they come.

    The connection is busy until the last part: however many rows there are, one part is held at a time.
    """
    held = bytearray()
    for data in _received(connection, query):
        held += data
        if len(held) > _AT_ONCE_BYTES:
            whole = len(held) // _TRIPLE.itemsize
            yield np.frombuffer(bytes(held[: whole * _TRIPLE.itemsize]), dtype=_TRIPLE)
            del held[: whole * _TRIPLE.itemsize]
    if whole := len(held) // _TRIPLE.itemsize:
        yield np.frombuffer(bytes(held), dtype=_TRIPLE, count=whole)
