"""Each repetition by itself: phases, latencies, tasks, checks, what client and server measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.metrics import LATENCY_LEAVES, describe
from pgflow_stress.core.result import Json, Repetition, Tasks
from pgflow_stress.report import words
from pgflow_stress.report.repetition_words import flat, repetition_label
from pgflow_stress.report.sections.audit import check_rows
from pgflow_stress.report.sections.latency import LEAVES
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import Table, pairs, table

# What has a plot or a section of its own, or is too long for a table.
_SHOWN_ELSEWHERE = {"series", "breakdown", "plans", "wait_events", "deltas", "deltas_per_task"}


def repetitions_view(subject: Subject) -> Json:
    """A folded part a repetition."""
    return {"repetitions": [_repetition(one) for one in subject.result.repetitions]}


def _repetition(repetition: Repetition) -> Json:
    label = repetition_label(repetition)
    tasks = ", ".join(f"{getattr(repetition.tasks, f.name):,} {f.name.replace('_', ' ')}" for f in fields(Tasks))
    return {
        "label": label,
        "window": formats.with_unit(repetition.window["seconds"], "s"),
        "tasks": tasks,
        "tables": [
            _phases(label, repetition),
            _latencies(label, repetition),
            table(f"Audit of repetition {label}", ("check", "held", "expected", "found"),
                  check_rows(repetition.audit.checks), 2),
            pairs(f"Client of repetition {label}", _side("client", repetition.client)),
            pairs(f"Server of repetition {label}", _side("server", repetition.server)),
        ],
    }  # fmt: skip


def _phases(label: str, repetition: Repetition) -> Table:
    rows = [
        (
            words.PHASE_TITLES.get(name, name),
            formats.duration_ns(phase.from_ns) if phase.from_ns else "0",
            formats.duration_ns(phase.to_ns or 0),
            formats.with_unit(phase.seconds, "s"),
            f"{phase.count:,}",
            describe(f"{name}.per_second").format(phase.per_second),
            describe(f"{name}.per_second_common").format(phase.per_second_common),
        )
        for name, phase in repetition.phases.items()
        if phase.count
    ]
    header = ("phase", "from", "to", "lasted", "count", "rate", "over the window")
    return table(f"Phases of repetition {label}; times count from its origin", header, rows, 6)


def _latencies(label: str, repetition: Repetition) -> Table:
    rows = []
    for name, phase in repetition.phases.items():
        if phase.count:
            values = [
                describe(f"{name}.latency_ns.{leaf}").format(getattr(phase.latency_ns, leaf)) for leaf in LATENCY_LEAVES
            ]
            rows.append((words.PHASE_TITLES.get(name, name), f"{phase.latency_ns.samples:,}", *values))
    header = ("phase", "samples", "mean", *LEAVES.values())
    return table(f"Latencies of repetition {label}", header, rows, len(header) - 1)


def _side(side: str, measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Top-level numbers with their metric's unit, the rest as it is."""
    rows = []
    for name, value in measured.items():
        if name in _SHOWN_ELSEWHERE:
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((name, describe(f"{side}.{name}").format(value)))
        else:
            rows += flat(value, name)
    return rows
