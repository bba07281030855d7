"""Durations as they are typed."""

from __future__ import annotations

import math
import re

_PARTS = re.compile(r"(?:([\d.]+)h)?(?:([\d.]+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_PART_SECONDS = (3600.0, 60.0, 1.0, 0.001)


def parse_duration(text: str) -> float:
    """Seconds of `30s`, `1m30s`, `2h`, `250ms` or plain seconds.

    Raises:
        ValueError: anything else.
    """
    match = _PARTS.fullmatch(text)
    if text and match:
        seconds = sum(float(part) * unit for part, unit in zip(match.groups(), _PART_SECONDS, strict=True) if part)
    else:
        seconds = float(text)
    if not math.isfinite(seconds):
        raise ValueError(text)
    return seconds
