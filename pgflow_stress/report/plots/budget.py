"""Where the time of each repetition went: its phases on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Repetition
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report import words
from pgflow_stress.report.plots import Plot, axis, colour, label
from pgflow_stress.report.tables import table

_PHASES = ("create", "start", "process", "deliver")
_MOST = 8


def budget_plot(repetitions: Sequence[Repetition], labels: Sequence[str]) -> Plot | None:
    """A bar a phase, a group a repetition; the first `_MOST` of them.

    Args:
        repetitions: those to show, in order.
        labels: what each is called.
    """
    shown = list(zip(labels, repetitions, strict=True))[:_MOST]
    traces, rows = [], []
    for number, name in enumerate(_PHASES):
        spans = [(text, one.phases[name], one.window["seconds"]) for text, one in shown if _lasted(one, name)]
        if not spans:
            continue
        title = words.PHASE_TITLES[name]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label(title),
                "y": [text for text, _, _ in spans],
                "base": [round((phase.from_ns or 0) / NS_PER_SECOND, 6) for _, phase, _ in spans],
                "x": [round(phase.seconds, 6) for _, phase, _ in spans],
                "marker": {"color": colour(number)},
                "hovertemplate": "%{y}, " + label(title) + ": %{x:.4g} s from %{base:.4g} s<extra></extra>",
            }
        )
        rows += [
            (
                text,
                title,
                formats.with_unit((phase.from_ns or 0) / NS_PER_SECOND, "s"),
                formats.with_unit(phase.seconds, "s"),
                formats.share(phase.seconds / window) if window else formats.ABSENT,
            )
            for text, phase, window in spans
        ]
    if not traces:
        return None
    rows.sort(key=lambda row: [text for text, _ in shown].index(row[0]))
    header = ("repetition", "phase", "from", "lasted", "of the window")
    return Plot(
        name="budget",
        title="Time budget by phase",
        described="Time by phase: " + "; ".join(f"{row[0]} {row[1]} {row[3]}" for row in rows[: 2 * len(_PHASES)]),
        caption="Phases of an open or closed load overlap: runs are started while tasks are processed.",
        traces=tuple(traces),
        layout={
            "barmode": "group",
            "xaxis": axis("s since the repetition's origin"),
            "yaxis": axis("", autorange="reversed", type="category"),
        },
        table=table("Time budget by phase", header, rows, 3),
        height=130 + 62 * len(shown),
    )


def _lasted(repetition: Repetition, name: str) -> bool:
    phase = repetition.phases.get(name)
    return phase is not None and bool(phase.count) and phase.from_ns is not None
