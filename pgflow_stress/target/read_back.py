"""Whether a server's setting has the value that was asked for: 4GB, 4096MB and 524288 (pages of 8kB) are the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pgflow_stress.target import connect

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_FACTORS = {
    "b": 1, "kb": 2**10, "8kb": 2**13, "mb": 2**20, "gb": 2**30, "tb": 2**40,
    "us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6,
}  # fmt: skip
_TRUE, _FALSE = frozenset({"on", "true", "yes", "t", "y", "1"}), frozenset({"off", "false", "no", "f", "n", "0"})
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-z]*)")


def not_taken(connection: Connection, asked: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each (setting, value) that the server does not have, or does not know."""
    lines = []
    for name, value in asked:
        found = connect.rows(connection, "SELECT setting, unit FROM pg_settings WHERE name = lower(%s)", name)
        if not found:
            lines.append(f"{name} is no setting of this server")
        elif not took(value, *found[0]):
            lines.append(f"{name} is {found[0][0]}{found[0][1] or ''}, and {value} was asked for")
    return lines


def took(asked: str, setting: str, unit: str | None) -> bool:
    """Whether pg_settings' value, in its unit, is what was asked for; a bare number is in that unit."""
    one, other = asked.strip().strip("'").lower(), setting.strip().lower()
    if one == other or {one, other} <= _TRUE or {one, other} <= _FALSE:
        return True
    a, b = _NUMBER.fullmatch(one), _NUMBER.fullmatch(other)
    if a is None or b is None or (a[2] and a[2] not in _FACTORS):
        return False
    base = _FACTORS[unit.lower()] if unit else 1
    return float(a[1]) * (_FACTORS[a[2]] if a[2] else base) == float(b[1]) * base
