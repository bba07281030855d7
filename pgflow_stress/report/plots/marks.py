"""What happened when: marks over a plot of time. A new kind is a function here and a line in MARKS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report import words
from pgflow_stress.report.plots import label

_MARKED_PHASES = ("create", "start", "process", "deliver")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, in seconds from the repetition's origin; `colour` is the style sheet's."""

    seconds: float
    text: str
    colour: str = "@soft"


def _phases(repetition: Repetition) -> Iterator[Mark]:
    """Where each phase ends, and where the first poll was sent."""
    for name in _MARKED_PHASES:
        phase = repetition.phases.get(name)
        if phase is not None and phase.count and phase.from_ns is not None and phase.to_ns is not None:
            title = words.PHASE_TITLES[name]
            if name == "process":
                yield Mark(phase.from_ns / NS_PER_SECOND, "first poll")
            yield Mark(phase.to_ns / NS_PER_SECOND, f"{title} ends")


def _incidents(repetition: Repetition) -> Iterator[Mark]:
    for incident in repetition.incidents:
        if incident.kind.startswith(("fault ", "interference ")):
            continue  # with those, which say it better
        yield Mark(incident.at_ns / NS_PER_SECOND, f"{incident.kind}: {incident.subject}", "@bad")


def _faults(repetition: Repetition) -> Iterator[Mark]:
    """Where each fault struck, and where the rate was back."""
    for fault in repetition.faults:
        if fault["at_ns"] is None or not fault["took_hold"]:
            continue
        struck = fault["at_ns"] / NS_PER_SECOND
        yield Mark(struck, f"{fault['name']} {fault['number']}", "@bad")
        back = (fault["recovery"] or {}).get("rate_back_seconds")
        if back is not None:
            yield Mark(struck + back, f"rate back after {fault['number']}")


def _interference(repetition: Repetition) -> Iterator[Mark]:
    """Where each interference began and ended, within the window where it is that long."""
    for kind in repetition.interference.get("kinds", ()):
        if kind["from_ns"] is None or not kind["took_hold"]:
            continue
        yield Mark(max(0.0, kind["from_ns"] / NS_PER_SECOND), f"{kind['spec']} from here", "@bad")
        if kind["timed"]:
            yield Mark(kind["to_ns"] / NS_PER_SECOND, f"{kind['name']} over")


MARKS: tuple[Callable[[Repetition], Iterator[Mark]], ...] = (_phases, _incidents, _faults, _interference)


def marks_of(repetition: Repetition) -> list[Mark]:
    """All of them, in order of time."""
    return sorted((mark for kind in MARKS for mark in kind(repetition)), key=lambda mark: mark.seconds)


def mark_layout(marks: list[Mark]) -> Json:
    """Dashed lines with a word at each, those near each other on lines of their own."""
    shapes = [
        {
            "type": "line", "xref": "x", "yref": "paper", "x0": mark.seconds, "x1": mark.seconds, "y0": 0, "y1": 1,
            "line": {"color": mark.colour, "width": 1, "dash": "dash"},
        }
        for mark in marks
    ]  # fmt: skip
    annotations = [
        {
            "x": mark.seconds, "y": 1, "xref": "x", "yref": "paper", "text": label(mark.text), "showarrow": False,
            "yanchor": "bottom", "xanchor": "left" if number < len(marks) / 2 else "right", "yshift": 13 * (number % 3),
            "font": {"size": 11, "color": mark.colour},
        }
        for number, mark in enumerate(marks)
    ]  # fmt: skip
    return {"shapes": shapes, "annotations": annotations}
