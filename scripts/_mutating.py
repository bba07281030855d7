"""Bytes made from bytes, by a seed: what a fuzzer does where none is installed that sees coverage."""

from __future__ import annotations

import random

_INTERESTING = (
    b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff", b"\x80\x00",
    b"\x7f" + b"\xff" * 7, b"\x80" + b"\x00" * 7, b"-", b'"', b"\\", b"'", b"\n", b"{", b"[", b"$$", b"9" * 30,
)  # fmt: skip
_MOST_BYTES = 4096


class Mutator:
    """Draws inputs from seeds; what the caller keeps becomes a seed as well."""

    def __init__(self, seeds: tuple[bytes, ...], seed: int) -> None:
        self._pool = [seed for seed in seeds if seed] or [b"\x00"]
        self._random = random.Random(seed)

    def draw(self) -> bytes:
        """The next input."""
        drawn = self._random
        data = bytearray(drawn.choice(self._pool))
        for _ in range(1 << drawn.randrange(5)):
            self._change(data)
        return bytes(data[:_MOST_BYTES])

    def _change(self, data: bytearray) -> None:
        drawn = self._random
        at = drawn.randrange(len(data) + 1)
        match drawn.randrange(7):
            case 0 if data:
                data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
            case 1 if data:
                data[drawn.randrange(len(data))] = drawn.randrange(256)
            case 2:
                data[at:at] = drawn.randbytes(drawn.randrange(1, 9))
            case 3:
                del data[at : at + drawn.randrange(1, 17)]
            case 4:
                some = drawn.choice(_INTERESTING)
                data[at : at + len(some)] = some
            case 5:
                other = drawn.choice(self._pool)
                begin = drawn.randrange(len(other))
                data[at:at] = other[begin : begin + drawn.randrange(1, 65)]
            case _:
                del data[at:]
