"""What the live view says: rows of cells, most important first, cut to fit whatever room there is. Draws nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rich.text import Text

from pgflow_stress.analysis import formats
from pgflow_stress.cli.live.course import Course, sparkline
from pgflow_stress.core.progress import Gauges, Progress
from pgflow_stress.report.printable import printable

MOST_COLUMNS = 100  # a wider line is no easier to read, and would be wrapped where the terminal becomes narrower
_LEAD = 10  # columns of the left-hand words
_BAR = (10, 40)  # least and most columns
_SPARKS = 32
_UNITS = {"create": "steps", "start": "runs", "process": "tasks", "deliver": "events"}
_LATENCIES = {"create": "add_step", "start": "start_flow", "process": "cycle time", "deliver": "delivery"}
_PERCENTILES = ("p50", "p95", "p99", "max")
_CLIENTS = ("worker", "starter")
_SERVER = "postgres"
_SECONDS_PER_MINUTE, _SECONDS_PER_HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that the terminal's encoding has."""

    full: str
    empty: str
    levels: str  # of a sparkline
    cut: str


FINE = Glyphs("━", "─", "▁▂▃▄▅▆▇█", "…")
PLAIN = Glyphs("#", "-", "_.:-=+*#", "...")


@dataclass(frozen=True, slots=True)
class Scene:
    """All that there is to show at one moment; progress and gauges None between the windows."""

    label: str  # what the repetition belongs to: "cell 3 of 12", or ""
    scenario: str
    phase: str
    repetition: int
    repetitions: int | None
    warmup: bool
    elapsed_seconds: float  # of the command
    left_seconds: float | None  # of all repetitions
    course: Course
    progress: Progress | None = None
    gauges: Gauges | None = None


Row = list[Text]


def render(scene: Scene, size: os.terminal_size, glyphs: Glyphs) -> list[Text]:
    """Rows for a terminal of this size: each narrower than it, and fewer than it has."""
    columns = max(1, min(MOST_COLUMNS, size.columns - 1))
    rows = [_head(scene)]
    if scene.progress is not None:
        rows += [
            _bar(scene.progress, scene.course, columns, glyphs),
            _rate(scene.progress, scene.course, glyphs),
            _backlog(scene.progress),
        ]
        if scene.gauges is not None:
            rows += [_latency(scene.progress.phase, scene.gauges), _cpu(scene.gauges)]
    return [fit(row, columns, glyphs.cut) for row in rows[: max(1, size.lines - 2)]]


def fit(row: Row, columns: int, cut: str) -> Text:
    """As many of the cells as there is room for, two columns apart; the first one is shortened where it must be."""
    text = Text()
    for cell in row:
        gap = "  " if text and not text.plain.endswith(" ") else ""
        if text.cell_len + len(gap) + cell.cell_len <= columns:
            text.append(gap).append_text(cell)
            continue
        if not text:
            cell.truncate(max(0, columns - len(cut)))
            text = cell.append(cut[:columns])
        break
    return text


def _head(scene: Scene) -> Row:
    of = f" of {scene.repetitions}" if scene.repetitions and scene.repetition < scene.repetitions else ""
    warmup = " (warm-up)" if scene.warmup else ""
    left = f", about {clock(scene.left_seconds)} left" if scene.left_seconds is not None else ""
    return [
        _cell(f"{scene.scenario} {scene.phase}", "bold"),
        *([_cell(scene.label)] if scene.label else []),
        _cell(f"repetition {scene.repetition + 1}{of}{warmup}"),
        _cell(f"{clock(scene.elapsed_seconds)}{left}", "dim"),
    ]


def _bar(progress: Progress, course: Course, columns: int, glyphs: Glyphs) -> Row:
    unit, lasts, rate = _UNITS.get(progress.phase, ""), progress.schedule_seconds, course.mean_per_second
    if lasts is not None:
        share, done = progress.elapsed_seconds / lasts, f"{progress.done:,} {unit}"
        told = f", {clock(max(0.0, lasts - progress.elapsed_seconds))} left"
    else:
        share, done = progress.done / max(1, progress.total), f"{progress.done:,} of {progress.total:,} {unit}"
        told = f", about {clock(max(0, progress.total - progress.done) / rate)} left" if rate else ""
    cells = [_cell(done), _cell(f"{clock(progress.elapsed_seconds)}{told}", "dim")]
    length = min(_BAR[1], max(_BAR[0], columns - sum(cell.cell_len + 2 for cell in cells)))
    full = min(length, int(length * share))
    return [_cell(glyphs.full * full, "green").append(glyphs.empty * (length - full), "dim"), *cells]


def _rate(progress: Progress, course: Course, glyphs: Glyphs) -> Row:
    unit, sparks = _UNITS.get(progress.phase, ""), sparkline(course.rates(_SPARKS), glyphs.levels)
    return [
        _lead("rate"),
        _cell(f"{formats.significant(course.per_second)} {unit}/s"),
        *([_cell(sparks, "cyan")] if sparks else []),
        _cell(f"mean {formats.significant(course.mean_per_second)}", "dim"),
    ]


def _backlog(progress: Progress) -> Row:
    errors = _cell(f"errors {progress.errors:,}", "red" if progress.errors else "dim")
    return [_lead("backlog"), _cell(f"{progress.backlog:,} tasks"), errors]


def _latency(phase: str, gauges: Gauges) -> Row:
    known = [(name, getattr(gauges.latency, name)) for name in _PERCENTILES]
    stated = [_cell(f"{name} {formats.duration_ns(value)}") for name, value in known if value is not None]
    return [_lead("latency"), _cell(_LATENCIES.get(phase, "")), *(stated or [_cell("nothing timed yet", "dim")])]


def _cpu(gauges: Gauges) -> Row:
    if not gauges.cores:
        return [_lead("CPU"), _cell("not sampled yet", "dim")]
    clients = sum(busy for role, busy in gauges.cores.items() if role in _CLIENTS)
    others = sum(busy for role, busy in gauges.cores.items() if role not in (*_CLIENTS, _SERVER))
    server = gauges.cores.get(_SERVER)
    return [
        _lead("CPU"),
        _cell(f"workers {clients:.2f}"),
        _cell(f"server {server:.2f}" if server is not None else "server elsewhere"),
        _cell(f"tool {others:.2f}"),
        _cell(f"of {len(os.sched_getaffinity(0))} cores", "dim"),
    ]


def _cell(text: str, style: str = "") -> Text:
    return Text(printable(text).replace("\n", " "), style)


def _lead(word: str) -> Text:
    return _cell(f"{word:<{_LEAD}}", "bold")


def clock(seconds: float) -> str:
    """9.4 s, 1:05, 2:01:05."""
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, _SECONDS_PER_MINUTE)
    if whole < _SECONDS_PER_HOUR:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
