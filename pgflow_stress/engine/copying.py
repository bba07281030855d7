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
    headed = False
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for data in copy:
            held += data
            if not headed and len(held) >= HEADER_BYTES:
                assert held[: len(_SIGNATURE)] == _SIGNATURE
                del held[:HEADER_BYTES]
                headed = True
            if len(held) > _AT_ONCE_BYTES:
                del held[: use(bytes(held))]
    if headed:
        use(bytes(held))


def triples(connection: psycopg.Connection[Any], query: Any) -> Iterator[npt.NDArray[np.void]]:
    """Rows (int8, int4, int4) of a COPY: arrays with the fields first, second, third, in parts."""
    parts: list[npt.NDArray[np.void]] = []

    def use(piece: bytes) -> int:
        whole = len(piece) // _TRIPLE.itemsize
        if whole:
            parts.append(np.frombuffer(piece, dtype=_TRIPLE, count=whole))
        return whole * _TRIPLE.itemsize

    pieces(connection, query, use)
    yield from parts
