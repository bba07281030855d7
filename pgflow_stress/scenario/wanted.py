"""The target of `plan` as it is typed: `5000 runs/s of chain(5)`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pgflow_stress.core.errors import UsageFault

_FORM = "give RATE runs/s of SCENARIO(SIZE), as in '5000 runs/s of chain(5)' or '2e6 tasks/day of fan(width=20)'"
_TEXT = re.compile(
    r"\s*(?P<rate>[0-9][0-9,_]*(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*(?P<what>runs?|tasks?)\s*(?:/|per)\s*(?P<unit>[a-z]+)"
    r"\s+of\s+(?P<name>[a-z][a-z0-9-]*)\s*(?:\((?P<arguments>[^()]*)\))?\s*",
    re.IGNORECASE,
)
_SECONDS = {
    "s": 1.0, "second": 1.0, "sec": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0,
    "d": 86_400.0, "day": 86_400.0,
}  # fmt: skip
MOST_PER_SECOND = 1e9


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rate of a scenario, and what its parameters are."""

    text: str
    per_second: float
    counts: str  # runs or tasks
    scenario: str
    size: str | None = None  # what stood alone in the brackets: the scenario's size
    parameters: tuple[str, ...] = ()  # NAME=VALUE, as --param takes them

    def runs_per_second(self, tasks_per_run: float) -> float:
        """The rate in runs."""
        return self.per_second if self.counts == "runs" else self.per_second / tasks_per_run


def parse_wanted(text: str) -> Wanted:
    """Read `RATE runs|tasks/UNIT of SCENARIO[(SIZE|NAME=VALUE, …)]`; the unit is s, min, h or day.

    Raises:
        UsageFault: anything else, or a rate that is no number above 0.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UsageFault(f"--target {text!r}: {_FORM}")
    unit = found["unit"].lower()
    if unit not in _SECONDS:
        raise UsageFault(f"--target {text!r}: no unit {found['unit']!r}; there are s, min, h and day")
    rate = float(found["rate"].replace(",", "").replace("_", "")) / _SECONDS[unit]
    if not (math.isfinite(rate) and 0 < rate <= MOST_PER_SECOND):
        raise UsageFault(f"--target {text!r}: the rate is to be above 0 and at most {MOST_PER_SECOND:g} a second")
    counts = found["what"].lower().rstrip("s") + "s"
    size, parameters = _arguments(text, found["arguments"])
    return Wanted(text.strip(), rate, counts, found["name"].lower(), size, parameters)


def _arguments(text: str, inside: str | None) -> tuple[str | None, tuple[str, ...]]:
    parts = [part.strip() for part in inside.split(",")] if inside and inside.strip() else []
    if len(parts) == 1 and "=" not in parts[0]:
        return parts[0], ()
    for part in parts:
        name, equals, value = part.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise UsageFault(f"--target {text!r}: {part!r} is no NAME=VALUE; {_FORM}")
    return None, tuple(parts)
