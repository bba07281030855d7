"""Numbers as a person reads them: units that fit the size, digits that the measurement carries."""

from __future__ import annotations

import math

from pgflow_stress.core.units import BYTES_PER_KIB, BYTES_PER_MIB, NS_PER_MS, NS_PER_SECOND, NS_PER_US

ABSENT = "-"
MOST_DIGITS = 5


def significant(value: float, digits: int = 3) -> str:
    """`value` with this many significant digits, thousands separated; digits left of the point are never zeroed."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    before_point = math.floor(math.log10(abs(value))) + 1
    return f"{value:,.{max(0, digits - before_point)}f}"


def digits_within(mean: float, half_width: float) -> int:
    """How many significant digits of `mean` its interval carries: the second one that it moves is the last; 2 to 5."""
    if half_width <= 0 or mean == 0:
        return 3
    return min(MOST_DIGITS, max(2, math.floor(math.log10(abs(mean))) - math.floor(math.log10(half_width)) + 2))


def with_unit(value: float, unit: str, digits: int = 3) -> str:
    """0.1234, "s" -> "0.123 s"."""
    return f"{significant(value, digits)} {unit}"


rate = with_unit


def duration_ns(value: float, _unit: str = "ns", digits: int = 3) -> str:
    """Milliseconds from 1 ms to 10 s; else us, ns or s."""
    if abs(value) >= 10 * NS_PER_SECOND:
        return with_unit(value / NS_PER_SECOND, "s", digits)
    if abs(value) >= NS_PER_MS:
        return with_unit(value / NS_PER_MS, "ms", digits)
    if abs(value) >= NS_PER_US:
        return with_unit(value / NS_PER_US, "us", digits)
    return with_unit(value, "ns", digits)


def size(value: float, _unit: str = "bytes", digits: int = 3) -> str:
    """Bytes, KiB or MiB."""
    if abs(value) >= BYTES_PER_MIB:
        return with_unit(value / BYTES_PER_MIB, "MiB", digits)
    if abs(value) >= 10 * BYTES_PER_KIB:
        return with_unit(value / BYTES_PER_KIB, "KiB", digits)
    return with_unit(value, "B", digits)


def share(value: float, _unit: str = "", _digits: int = 3) -> str:
    """0.4213 -> "42 %", 0.00123 -> "0.12 %"."""
    return f"{significant(100 * value, 2)} %"


def count(value: float, unit: str = "", digits: int = 3) -> str:
    """A plain number: whole ones exactly, thousands separated."""
    text = f"{value:,.0f}" if float(value).is_integer() else significant(value, digits)
    return f"{text} {unit}".rstrip()
