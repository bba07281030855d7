"""`--limit NAME=VALUE`: another number for a rule of the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, replace

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, Limits
from pgflow_stress.core.errors import UsageFault

_LEAST = {"min_batches": 10}  # the first tenth is at least one of them


def with_limits(texts: Iterable[str]) -> Limits:
    """The default limits with these put in their place; of one name the last counts.

    Raises:
        UsageFault: not NAME=VALUE, an unknown name (all are listed), or a value that is no such limit.
    """
    changed: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise UsageFault(f"--limit {text!r}: give NAME=VALUE, as in min_phase_seconds=20")
        if name not in asdict(DEFAULT_LIMITS):
            raise UsageFault(f"--limit {text!r}: no limit {name!r}; there are: {', '.join(asdict(DEFAULT_LIMITS))}")
        changed[name] = _value(text, name, value)
    return replace(DEFAULT_LIMITS, **changed)  # type: ignore[arg-type]  # a whole number where one is asked for


def _value(text: str, name: str, value: str) -> float:
    is_whole = isinstance(getattr(DEFAULT_LIMITS, name), int)
    least = _LEAST.get(name, 0)
    try:
        number = int(value) if is_whole else float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= least):
        kind = "a whole number" if is_whole else "a number"
        raise UsageFault(f"--limit {text!r}: {name} is {kind}, {least} or more; a share is 0.05 for 5 %")
    return number
