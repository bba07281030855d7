"""Where a proxy cuts: always within a message, however the stream came in chunks."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.engine.faults.proxy import Frames

BODIES = st.lists(st.binary(min_size=0, max_size=40), min_size=1, max_size=12)


def _stream(bodies: list[bytes], *, first_untyped: bool) -> tuple[bytes, set[int]]:
    """The bytes, and the offsets at which a message begins or the stream ends."""
    stream, borders = b"", {0}
    for number, body in enumerate(bodies):
        kind = b"" if first_untyped and not number else b"D"
        stream += kind + struct.pack("!I", len(body) + 4) + body
        borders.add(len(stream))
    return stream, borders


@given(bodies=BODIES, sizes=st.lists(st.integers(1, 60), min_size=1, max_size=30), first_untyped=st.booleans())
def test_a_cut_is_within_a_message_wherever_a_chunk_begins(
    bodies: list[bytes], sizes: list[int], first_untyped: bool
) -> None:
    stream, borders = _stream(bodies, first_untyped=first_untyped)
    at = 0

    for size in sizes:
        chunk = stream[at : at + size]
        if not chunk:
            break
        frames = Frames(first_untyped=first_untyped)
        frames.pass_by(stream[:at])
        kept, kind = frames.middle(chunk)
        starts_a_message = at in borders
        # Of the startup, which has no type, nothing is passed on: half of it would be as little of a message.
        assert at + kept not in borders or (kept == 0 and not starts_a_message) or (first_untyped and at == 0)
        assert 0 <= kept <= len(chunk)
        assert kind in ("D", "")
        at += size


@given(bodies=BODIES, sizes=st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_what_was_passed_in_chunks_is_what_was_passed_at_once(bodies: list[bytes], sizes: list[int]) -> None:
    stream, _ = _stream(bodies, first_untyped=False)
    chunked, whole = Frames(first_untyped=False), Frames(first_untyped=False)
    at = 0

    for size in sizes:
        chunked.pass_by(stream[at : at + size])
        at = min(len(stream), at + size)
    whole.pass_by(stream[:at])

    assert chunked.middle(b"D\0\0\0\x10abc") == whole.middle(b"D\0\0\0\x10abc")
