"""Interference: what else goes on while tasks are worked on. What each kind does is in `engine.interference`.

`NAME` or `NAME:N`: from before the window to its end. With `@30s:60s` behind it: 60 s long, from 30 s after the
process phase began, so that before, during and after are all under one load.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgflow_stress.core.durations import parse_duration
from pgflow_stress.core.errors import UsageFault

MOST_KINDS = 16  # of one run: a process each
HOW = "give NAME or NAME:N, and @TIME:LENGTH where it is not for the whole window, as in held-xmin@30s:60s"


@dataclass(frozen=True, slots=True)
class InterferenceSpec:
    """One --interference."""

    text: str
    name: str
    count: int | None = None  # the N of NAME:N
    at_seconds: float | None = None  # from the begin of the process phase; None: from before the window to its end
    lasts_seconds: float | None = None


def parse_interference(text: str) -> InterferenceSpec:
    """Read one --interference; whether there is such a kind is for the engine's registry to say.

    Raises:
        UsageFault: it is none.
    """
    what, at, when = text.strip().partition("@")
    name, colon, number = what.strip().partition(":")
    begin, gap, length = when.strip().partition(":")
    try:
        if not name or (colon and not number) or (at and not (begin and gap and length)):
            raise ValueError(text)
        spec = InterferenceSpec(
            text.strip(),
            name,
            int(number) if colon else None,
            _seconds(begin, least=0.0) if at else None,
            _seconds(length, least=0.1) if at else None,
        )
    except ValueError:
        raise UsageFault(f"--interference {text!r}: {HOW}") from None
    return spec


def _seconds(text: str, least: float) -> float:
    seconds = parse_duration(text.strip())
    if seconds < least:
        raise ValueError(text)
    return seconds


def check_interference(specs: tuple[InterferenceSpec, ...], duration_seconds: float | None) -> None:
    """Refuse what could not be told apart, or would never be.

    Raises:
        UsageFault: a kind twice, or a time that --duration does not reach.
    """
    names = [spec.name for spec in specs]
    for spec in specs:
        if names.count(spec.name) > 1:
            raise UsageFault(f"--interference {spec.text!r}: {spec.name} is there twice, give it once")
        if spec.at_seconds is None or spec.lasts_seconds is None:
            continue
        if duration_seconds is None:
            raise UsageFault(
                f"--interference {spec.text!r}: a time within the window is for a load that lasts: give --rate and "
                "--duration as well"
            )
        if spec.at_seconds + spec.lasts_seconds > duration_seconds:
            raise UsageFault(f"--interference {spec.text!r}: it would end beyond --duration {duration_seconds:g} s")
