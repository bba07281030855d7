"""Run ids of ours: a 64-bit nonce of the repetition and the run's index, as a UUIDv8 (RFC 9562 section 5.8).

    bits 127..80  nonce 63..16      custom_a
    bits  79..76  version, 8
    bits  75..64  nonce 15..4       custom_b
    bits  63..62  variant, 0b10
    bits  61..58  nonce 3..0        custom_c, upper
    bits  57..0   run index         custom_c, lower

So an event, a row or a leftover maps to its place without a hash, and two tools on one database never mix.
"""

from __future__ import annotations

import secrets
import uuid

RUN_INDEX_LIMIT = 1 << 58
RUN_ID_PREFIX = 20  # characters of an id's text that are alike in a repetition: 60 bits of its nonce beside the variant
NONCE_LIMIT = 1 << 64


def new_nonce() -> int:
    """A 64-bit nonce, from the operating system's randomness."""
    return secrets.randbits(64)


def run_id(nonce: int, run_index: int) -> uuid.UUID:
    """The id of run `run_index` of the repetition `nonce`.

    Raises:
        ValueError: nonce or run_index outside its range.
    """
    if not 0 <= nonce < NONCE_LIMIT:
        raise ValueError(f"nonce outside 64 bits: {nonce}")
    if not 0 <= run_index < RUN_INDEX_LIMIT:
        raise ValueError(f"run index outside 58 bits: {run_index}")
    value = (nonce >> 16) << 80 | 8 << 76 | (nonce >> 4 & 0xFFF) << 64 | 0b10 << 62 | (nonce & 0xF) << 58 | run_index
    return uuid.UUID(int=value)


def run_id_bounds(nonce: int) -> tuple[uuid.UUID, uuid.UUID]:
    """The first and the last id that a run of the repetition can have; as uuids sort, there are no others between."""
    return run_id(nonce, 0), run_id(nonce, RUN_INDEX_LIMIT - 1)


def split_run_id(value: uuid.UUID) -> tuple[int, int] | None:
    """(nonce, run index) of an id of ours; None for any other UUID."""
    bits = value.int
    if bits >> 76 & 0xF != 8 or bits >> 62 & 0b11 != 0b10:
        return None
    nonce = (bits >> 80) << 16 | (bits >> 64 & 0xFFF) << 4 | (bits >> 58 & 0xF)
    return nonce, bits & (RUN_INDEX_LIMIT - 1)


def flow_slug_prefix(nonce: int) -> str:
    """What every flow slug of a repetition starts with: short, lower case, of one length."""
    return f"ps{nonce:016x}_"
