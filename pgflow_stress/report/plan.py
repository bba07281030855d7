"""A plan as JSON, `pgflow-stress/plan/1`, and as a person reads it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.costs import Cost
from pgflow_stress.analysis.planning import Figure, Quota
from pgflow_stress.core.result import Json
from pgflow_stress.report.page import Page

SCHEMA = "pgflow-stress/plan/1"
_LEAD = 13  # columns of the left-hand words


@dataclass(frozen=True, slots=True)
class Planned:
    """What one call has to tell."""

    tool: Json
    target: str
    scenario: Json  # {name, parameters}, of the target
    figures: tuple[Figure, ...]
    quotas: tuple[Quota, ...]
    costs: tuple[Cost, ...]
    rests_on: tuple[Json, ...]  # each result: {label, load_model, tasks_per_second, repetitions, ...}
    environment: Json
    outcome: Json


def plan_json(planned: Planned) -> Json:
    """The document."""
    return {
        "schema": SCHEMA,
        "tool": planned.tool,
        "target": planned.target,
        "scenario": planned.scenario,
        "figures": {
            one.name: {
                "unit": one.unit, "value": one.value, "interval": list(one.interval) if one.interval else None,
                "exact": one.exact, "rests_on": one.rests_on, "repetitions": one.n, "reason": one.reason,
            }
            for one in planned.figures
        },
        "realtime_quotas": [
            {"plan": one.plan, "messages_per_second": one.messages_per_second, "share": one.share, "fits": one.fits}
            for one in planned.quotas
        ],
        "costs_per_task": {
            one.name: {
                "estimate": one.estimate, "interval": list(one.interval) if one.interval else None,
                "repetitions": one.n, "results": one.groups, "reason": one.reason,
            }
            for one in planned.costs
        },
        "rests_on": list(planned.rests_on),
        "environment": planned.environment,
        "outcome": planned.outcome,
    }  # fmt: skip


def render_plan(planned: Planned, console: Console) -> None:
    """A line a figure with its interval and what it rests on, then the quotas and what was measured."""
    page = Page(console, _LEAD)
    console.print()
    page.lines("plan", [planned.target])
    console.print()
    page.table(["figure", "estimate", "interval"], [_row(one) for one in planned.figures], 2)
    console.print()
    for one in planned.figures:
        page.lines("", [f"{_title(one.name)}: {one.reason or one.rests_on}"])
    page.lines("Realtime", [_quota(one) for one in planned.quotas])
    page.lines("rests on", [_measured(one) for one in planned.rests_on])
    page.lines(
        "", ["Costs a task as measured there: other hardware, settings or a database that has aged cost otherwise."]
    )
    page.lines("", ["No latency is told: it does not follow from costs."])


def _title(name: str) -> str:
    return name.replace("_per_second", "/s").replace("_per_day", "/day").replace("_", " ")


def _row(one: Figure) -> list[str]:
    ends = ""
    if one.exact:
        ends = "exact"
    elif one.interval is not None:
        ends = " – ".join(formats.significant(end) for end in one.interval)
    value = formats.ABSENT if one.value is None else formats.with_unit(one.value, one.unit)
    return [_title(one.name), value, ends]


def _quota(one: Quota) -> str:
    words = "fits" if one.fits else "does not fit"
    return f"{one.plan}: {one.messages_per_second:,} messages/s, {words} ({formats.share(one.share)} of it)"


def _measured(one: Json) -> str:
    return (
        f"{one['label']}: {one['load_model']}, {formats.significant(one['tasks_per_second'])} tasks/s, "
        f"{one['repetitions']} repetitions, {one['workers']} workers"
    )
