"""Ours against a rival as JSON, `pgflow-stress/against/1`, and as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.against import Figure
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.core.result import Json
from pgflow_stress.report.page import Page

SCHEMA = "pgflow-stress/against/1"
_LEAD = 13  # columns of the left-hand words


@dataclass(frozen=True, slots=True)
class Told:
    """What one call has to tell."""

    tool: Json
    name: str  # of the rival
    about: Json
    scenario: Json  # {name, parameters}
    environment: Json
    figures: tuple[Figure, ...]
    expected: int  # tasks a turn
    tasks: tuple[tuple[int | None, int | None], ...]  # completed, of ours and theirs, pair by pair, warm-up apart
    outcome: Json


def against_json(told: Told) -> Json:
    """The document."""
    return {
        "schema": SCHEMA,
        "tool": told.tool,
        "against": {"name": told.name, **told.about},
        "scenario": told.scenario,
        "environment": told.environment,
        "tasks": {
            "expected": told.expected,
            "ours": [ours for ours, _ in told.tasks],
            "theirs": [theirs for _, theirs in told.tasks],
        },
        "figures": {one.name: _figure(one) for one in told.figures},
        "outcome": told.outcome,
    }


def _figure(one: Figure) -> Json:
    ours, theirs = one.medians
    return {
        "unit": describe(one.name).unit,
        "ratio": one.ratio,
        "ci95": list(one.ci95) if one.ci95 else None,
        "pairs": len(one.ours),
        "reason": one.reason,
        "ours": {"median": ours, "values": list(one.ours)},
        "theirs": {"median": theirs, "values": list(one.theirs)},
    }


def ratio_words(one: Figure) -> str:
    """`0.99 [0.94 - 1.09]`, or why there is none."""
    if one.ratio is None or one.ci95 is None:
        return one.reason or formats.ABSENT
    low, high = one.ci95
    return f"{formats.significant(one.ratio)} [{formats.significant(low)}–{formats.significant(high)}]"


def render_against(told: Told, console: Console) -> None:
    """A line a figure: medians of both sides, and ours over theirs with its interval."""
    page = Page(console, _LEAD)
    console.print()
    page.lines("against", [f"{told.name}: {told.about['what']}"])
    page.lines("counted", [_counted(told.expected, told.tasks)])
    console.print()
    rows = []
    for one in told.figures:
        metric = describe(one.name)
        medians = [formats.ABSENT if value is None else metric.format(value) for value in one.medians]
        rows.append([one.name, *medians, ratio_words(one), str(len(one.ours))])
    page.table(["metric", "ours", told.name, "ours/theirs [95 %]", "pairs"], rows, 4)
    console.print()


def _counted(expected: int, tasks: Sequence[tuple[int | None, int | None]]) -> str:
    whole = sum(pair == (expected, expected) for pair in tasks)
    return f"{whole} of {len(tasks)} pairs with all {expected:,} tasks completed on both sides, counted in the database"
