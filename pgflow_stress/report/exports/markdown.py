"""Markdown tables, as a pull request shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import PHASES
from pgflow_stress.core.result import Result
from pgflow_stress.report import event_words, profile, words
from pgflow_stress.report.interference_words import interference_lines
from pgflow_stress.report.printable import printable
from pgflow_stress.report.saved import Saved
from pgflow_stress.report.soak_words import soak_lines
from pgflow_stress.report.telemetry import telemetry_lines

_PERCENTILES = {
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "p999": "p99.9",
    "p9999": "p99.99",
    "max": "max",
}
_MOST_ROWS = 20  # of a profile
_COSTS = ("client.cpu_ns_per_task", "client.utilization", "server.cpu_ns_per_task", "server.wal_bytes_per_task")


def render(saved: Sequence[Saved]) -> str:
    """A section a result: verdict, rates with intervals, latencies, what to know."""
    return "\n".join(_section(one.result) for one in saved)


def _section(result: Result) -> str:
    lines = [f"## {_cell(result.scenario['name'])}: {words.headline(result)}", "", _cell(words.setting(result)), ""]
    if result.verdict.reasons:
        lines += [*(f"- {_cell(reason)}" for reason in result.verdict.reasons), ""]
    lines += [*_table(("metric", "mean", "95 %"), _rates(result), numbers=2), ""]
    lines += [*_table(("latency", *_PERCENTILES.values()), _latencies(result), numbers=len(_PERCENTILES)), ""]
    lines += _profile(result)
    told = {
        "Limited by": [words.limited_by(result)],
        "Accounted for": [words.accounted_for(result), *words.audit_words(result)],
        "Events": event_words.event_lines(result),
        "Observer costs": event_words.cost_lines(result.outcome),
        "Interference": interference_lines(result),
        "Soak": soak_lines(result),
        "Used": telemetry_lines(result),
        "Telemetry costs": event_words.cost_lines(result.outcome, "telemetry_cost", "telemetry"),
        "Read it as": words.labels(result),
        "Thresholds": words.gates(result.outcome),
        "Ended": words.endings(result.outcome) if result.outcome else [],
    }
    lines += [f"- **{title}**: {_cell('; '.join(said))}" for title, said in told.items() if said]
    return "\n".join(lines) + "\n"


def _profile(result: Result) -> list[str]:
    """The heaviest rows of a profile, and what they add up to; [] where none was taken."""
    if not result.profile:
        return []
    rows = [(place, *numbers) for *numbers, place in profile.cost_rows(result.profile, _MOST_ROWS)]
    of = profile.measure_of(result.profile)
    table = _table((f"server {of}", "a task", "share", "calls a task"), rows, numbers=3)
    return [*table, "", f"- **Adds up**: {_cell(profile.adding_up(result.profile))}"]


def _rates(result: Result) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for name in (*(f"{phase}.per_second" for phase in words.PHASE_TITLES), *_COSTS):
        estimate = words.estimate(result, name)
        if estimate.mean != formats.ABSENT:
            rows.append((f"`{name}`", estimate.mean if estimate.valid else f"{estimate.mean} (!)", estimate.plus_minus))
    return rows


def _latencies(result: Result) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for phase in PHASES:
        cells = [words.estimate(result, f"{phase}.latency_ns.{leaf}").mean for leaf in _PERCENTILES]
        if phase != "end_to_end" and any(cell != formats.ABSENT for cell in cells):
            rows.append((words.latency_title(phase, result.load_model), *cells))
    return rows


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> list[str]:
    rule = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    return [f"| {' | '.join(map(_cell, row))} |" for row in (header, rule, *rows)]


def _cell(text: object) -> str:
    """Nothing in it may end a table's cell, or begin HTML."""
    return printable(str(text)).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
