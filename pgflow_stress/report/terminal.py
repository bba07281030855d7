"""The summary that a person reads at a glance: about 25 lines of 80 columns."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.schedule_rules import schedule_words
from pgflow_stress.core.result import Result
from pgflow_stress.report import breakdown, client_words, event_words, words
from pgflow_stress.report.fault_words import fault_lines
from pgflow_stress.report.interference_words import interference_lines
from pgflow_stress.report.page import Page
from pgflow_stress.report.printable import printable
from pgflow_stress.report.soak_words import soak_lines
from pgflow_stress.report.telemetry import telemetry_lines
from pgflow_stress.report.validity import show_verdict

_PERCENTILES = ("p50", "p95", "p99", "max")
_MOST_INCIDENTS = 3
_MOST_FAULTS = 8
_OF_FAULTS = ("fault injected", "fault did not take hold", "interference did not hold")  # on lines of their own
_SOAK_STYLES = {"stationary": "green", "degrading": "red"}
_LEAD = 15  # columns of the left-hand words
_UNRELIABLE = "*"


def render_summary(result: Result, console: Console, where_written: Path | str | None = None) -> None:
    """Print one scenario's summary: valid? how fast? what limited it? was anything lost? what next?

    Args:
        result: the measurement.
        console: of standard error; its width, encoding and NO_COLOR are heeded.
        where_written: the result's directory or file, for the last line.
    """
    page = Page(console, _LEAD)
    console.print()
    console.print(Text(page.text(str(result.scenario["name"])), style="bold"))
    page.lines("", [words.setting(result)])
    show_verdict(page, result)
    console.print()
    _rates(page, result)
    _latencies(page, result)
    _breakdown(page, result)
    console.print()
    page.lines("limited by", [words.limited_by(result)])
    if said := client_words.probe_lines(result.outcome):
        page.lines("client probe", said)
    if said := telemetry_lines(result):
        page.lines("used", said)
    if said := event_words.cost_lines(result.outcome):
        page.lines("observer costs", said)
    if said := event_words.cost_lines(result.outcome, "telemetry_cost", "telemetry"):
        page.lines("sampling costs", said)
    lost = [words.accounted_for(result), *client_words.failure_lines(result.outcome), *words.audit_words(result)]
    page.lines("accounted for", lost, "" if _sound(result) else "red")
    if kept := schedule_words([one for one in result.repetitions if one.counted]):
        page.lines("schedule", [kept])
    if said := event_words.event_lines(result):
        totals = event_words.event_totals(result)
        page.lines("events", said, "" if totals is None or totals.whole else "red")
    _besides(page, result)
    _incidents(page, result)
    if said := words.labels(result):
        page.lines("read it as", said)
    if said := words.gates(result.outcome):
        page.lines("thresholds", said)
    if said := words.next_steps(result):
        page.lines("try next", said[:2])
    if result.outcome:
        page.lines("ended", words.endings(result.outcome), "red" if result.outcome.get("exit_code") else "")
    if where_written is not None:
        # Not in the grid: a path that was folded cannot be clicked or copied.
        where = printable(str(where_written))
        console.print(Text(f"{'result':<{_LEAD}}", style="bold").append(where, "not bold"), soft_wrap=True)


def _rates(page: Page, result: Result) -> None:
    rows = []
    for phase, title in words.PHASE_TITLES.items():
        estimate = words.estimate(result, f"{phase}.per_second")
        if estimate.mean == formats.ABSENT:
            continue
        seconds = words.estimate(result, f"{phase}.seconds").mean
        mark = "" if estimate.valid else _UNRELIABLE
        rows.append([title, f"{estimate.mean}{mark}", estimate.plus_minus, seconds])
    if not rows:
        page.lines("how fast", ["nothing was completed in a counted repetition"])
        return
    page.table([f"{'how fast':<{_LEAD - 2}}", "mean", "95 %", "lasted"], rows, 3)
    if any(_UNRELIABLE in row[1] for row in rows):
        page.console.print(
            Text(f"{'':<{_LEAD}}{_UNRELIABLE} not to be relied on: too short, disturbed, or not alike", "dim")
        )


def _latencies(page: Page, result: Result) -> None:
    rows = []
    for phase in ("process", "execute"):
        cells = [words.estimate(result, f"{phase}.latency_ns.{leaf}").mean for leaf in _PERCENTILES]
        if all(cell == formats.ABSENT for cell in cells):
            continue
        samples = sum(r.phases[phase].latency_ns.samples for r in result.repetitions if r.counted and phase in r.phases)
        rows.append([words.latency_title(phase, result.load_model), *cells, f"{samples:,}"])
    if rows:
        page.table([f"{'latency':<{_LEAD - 2}}", *_PERCENTILES, "samples"], rows, len(_PERCENTILES) + 1)


def _breakdown(page: Page, result: Result) -> None:
    rows = [[line.title, *line.cells] for line in breakdown.lines(result)]
    if rows:
        page.table([f"{'where it went':<{_LEAD - 2}}", *breakdown.COLUMNS], rows, len(breakdown.COLUMNS))
    page.lines("" if rows else "where it went", breakdown.notes(result))


def _besides(page: Page, result: Result) -> None:
    """What was done to it, what went on besides, what its course was."""
    if said := fault_lines(result):
        more = [f"and {len(said) - _MOST_FAULTS} more, in the result"] if len(said) > _MOST_FAULTS else []
        page.lines("faults", said[:_MOST_FAULTS] + more)
    if said := interference_lines(result):
        page.lines("interference", said)
    if said := soak_lines(result):
        page.lines("soak", said, _SOAK_STYLES.get(result.outcome["soak"]["state"], "yellow"))


def _incidents(page: Page, result: Result) -> None:
    incidents = [
        (r.index, incident) for r in result.repetitions for incident in r.incidents if incident.kind not in _OF_FAULTS
    ]
    lines = [
        f"repetition {index}: {i.kind} {i.subject} {i.detail}".rstrip() for index, i in incidents[:_MOST_INCIDENTS]
    ]
    if more := len(incidents) - len(lines):
        lines.append(f"and {more} more, in the result")
    if lines:
        page.lines("incidents", lines, "yellow")


def _sound(result: Result) -> bool:
    totals = words.task_totals(result)
    # What failed by design is no fault: the audit says whether it was to.
    ended = totals.completed + totals.failed + totals.abandoned
    return ended == totals.expected and all(repetition.audit.ok for repetition in result.repetitions)
