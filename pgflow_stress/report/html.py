"""report.html: one file that needs nothing else, no script, no network."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.analysis.metrics import LATENCY_LEAVES, PHASES, describe
from pgflow_stress.core.latency import merge
from pgflow_stress.core.recording import Histogram
from pgflow_stress.core.result import Json, Repetition, Result
from pgflow_stress.report import event_words, words
from pgflow_stress.report.html_events import events_view
from pgflow_stress.report.svg import Bar, bars, percentile_plot
from pgflow_stress.report.telemetry import telemetry_lines, telemetry_view

TEMPLATE = "report.html"
_KEY_FIGURES = (
    *(f"{phase}.per_second" for phase in ("execute", "process", "steady", "end_to_end", "start", "create", "deliver")),
    "client.cpu_ns_per_task",
    "client.utilization",
    "client.host.busy_share",
    "server.cpu_ns_per_task",
    "server.wal_bytes_per_task",
)
_PLOTTED = {"task": "process", "execute": "execute"}  # histogram -> the phase whose latency it is
_DELIVERIES = "deliver_"  # histograms of events, one a type
# Most parameters are options by the same name; steps, flows and runs are already scaled.
_NOT_OPTIONS = ("scale", "pilot")
_OTHER_NAMES = {"observer_delay_ms": "observer_delay", "limits": "limit"}
_DEFAULTS = {"limits": asdict(DEFAULT_LIMITS)}  # of those that are told only where they differ
_LOOKED_UP = ("wait_events", "deltas", "deltas_per_task")  # in result.json, or in a table of their own
_SUMMARY_LATENCIES = ("p50", "p90", "p95", "p99", "p999", "p9999", "max")


def render_html(results: Sequence[tuple[Result, Mapping[str, Histogram]]]) -> str:
    """The report of one result or several, each with its histograms by operation ({} where there are none)."""
    source = resources.files("pgflow_stress.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(views=[_view(*one) for one in results])


def _view(result: Result, histograms: Mapping[str, Histogram]) -> Json:
    return {
        "name": result.scenario["name"],
        "tool": result.tool,
        "setting": words.setting(result),
        "headline": words.headline(result),
        "reasons": result.verdict.reasons,
        "labels": words.labels(result),
        "limited_by": words.limited_by(result),
        "accounted_for": words.accounted_for(result),
        "audit": words.audit_words(result),
        "event_lines": event_words.event_lines(result),
        "observer_costs": event_words.cost_lines(result.outcome),
        "used": telemetry_lines(result),
        "telemetry": telemetry_view(result),
        "telemetry_costs": event_words.cost_lines(result.outcome, "telemetry_cost", "telemetry"),
        "gates": words.gates(result.outcome),
        "endings": words.endings(result.outcome) if result.outcome else [],
        "next_steps": words.next_steps(result),
        "figures": _figures(result),
        "latencies": _latencies(result),
        "strip": _strip(result),
        "plots": _plots(result, histograms),
        "events": events_view(result),
        "repetitions": [_repetition(repetition) for repetition in result.repetitions],
        "incidents": [(r.index, incident) for r in result.repetitions for incident in r.incidents],
        "parameters": flat(result.scenario["parameters"]),
        "environment": flat(result.environment),
        "hosts": [flat(host) for host in result.hosts],
        "command": reproduce(result),
    }


def _figures(result: Result) -> list[Json]:
    shown = []
    for name in _KEY_FIGURES:
        estimate = words.estimate(result, name)
        if estimate.mean != formats.ABSENT:
            shown.append({"name": name, "description": describe(name).description, "estimate": estimate})
    return shown


def _latencies(result: Result) -> list[Json]:
    rows = []
    for phase in PHASES:
        cells = [words.estimate(result, f"{phase}.latency_ns.{leaf}") for leaf in _SUMMARY_LATENCIES]
        if any(cell.mean != formats.ABSENT for cell in cells) and phase != "end_to_end":
            samples = sum(
                r.phases[phase].latency_ns.samples for r in result.repetitions if r.counted and phase in r.phases
            )
            title = words.latency_title(phase, result.load_model)
            rows.append({"phase": phase, "title": title, "cells": cells, "samples": f"{samples:,}"})
    return rows


def _label(repetition: Repetition) -> str:
    marks = {
        "warm-up": repetition.warmup,
        "interrupted": repetition.interrupted,
        "lost a worker": repetition.lost_worker,
        f"without {repetition.without}": repetition.baseline,
    }
    kind = next((word for word, marked in marks.items() if marked), "")
    return f"{repetition.index} {kind}".strip()


def _strip(result: Result) -> Markup:
    rows = []
    for repetition in result.repetitions:
        rate = repetition.phases["process"].per_second if "process" in repetition.phases else None
        text = describe("process.per_second").format(rate)
        rows.append(Bar(_label(repetition), rate or 0.0, text, repetition.counted))
    return bars(rows, "Process throughput by repetition")


def _plots(result: Result, histograms: Mapping[str, Histogram]) -> list[Json]:
    plots = []
    shown = {phase: histograms.get(operation) for operation, phase in _PLOTTED.items()}
    shown["deliver"] = merge(one for operation, one in histograms.items() if operation.startswith(_DELIVERIES))
    for phase, histogram in shown.items():
        samples = sum(r.phases[phase].latency_ns.samples for r in result.repetitions if phase in r.phases and r.counted)
        if histogram is not None and histogram.count:
            title = words.latency_title(phase, result.load_model)
            plots.append({"title": title, "svg": percentile_plot(histogram, samples or histogram.samples, title)})
    return plots


def _repetition(repetition: Repetition) -> Json:
    phases = []
    for name, phase in repetition.phases.items():
        if not phase.count:
            continue
        latency = [
            describe(f"{name}.latency_ns.{leaf}").format(getattr(phase.latency_ns, leaf)) for leaf in LATENCY_LEAVES
        ]
        phases.append(
            {
                "name": words.PHASE_TITLES.get(name, name),
                "from": formats.duration_ns(phase.from_ns or 0) if phase.from_ns else "0",
                "to": formats.duration_ns(phase.to_ns or 0),
                "seconds": formats.with_unit(phase.seconds, "s"),
                "count": f"{phase.count:,}",
                "per_second": describe(f"{name}.per_second").format(phase.per_second),
                "per_second_common": describe(f"{name}.per_second_common").format(phase.per_second_common),
                "latency": latency,
                "samples": f"{phase.latency_ns.samples:,}",
            }
        )
    return {
        "label": _label(repetition),
        "window": formats.with_unit(repetition.window["seconds"], "s"),
        "phases": phases,
        "tasks": repetition.tasks,
        "checks": repetition.audit.checks,
        "client": _side("client", {k: v for k, v in repetition.client.items() if k != "series"}),
        "server": _side("server", {k: v for k, v in repetition.server.items() if k not in _LOOKED_UP}),
    }


def _side(side: str, measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Top-level numbers with their metric's unit, the rest as it is."""
    rows = []
    for name, value in measured.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((name, describe(f"{side}.{name}").format(value)))
        else:
            rows += flat(value, name)
    return rows


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """(dotted name, text) of every leaf."""
    if isinstance(value, Mapping) and value:
        return [leaf for key, item in value.items() for leaf in flat(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [leaf for number, item in enumerate(value) for leaf in flat(item, f"{path}.{number}")]
    if isinstance(value, list | tuple):
        return [(path, ", ".join(map(str, value)) or formats.ABSENT)]
    if value is None or isinstance(value, Mapping):
        return [(path, formats.ABSENT)]
    if isinstance(value, bool):
        return [(path, "yes" if value else "no")]
    return [(path, f"{value:,.6g}" if isinstance(value, float) else str(value))]


def reproduce(result: Result) -> str:
    """The command line that asks for the same again; the machine and a given server's own settings are not in it."""
    parts = ["pgflow-stress", "run", str(result.scenario["name"])]
    for name, value in result.scenario["parameters"].items():
        option = f"--{_OTHER_NAMES.get(name, name).replace('_', '-')}"
        if name == "pin" and value:
            parts += [option, ",".join(f"{role}={','.join(map(str, cpus))}" for role, cpus in value.items())]
        elif isinstance(value, Mapping) and name not in _NOT_OPTIONS:
            defaults = _DEFAULTS.get(name, {})
            for key, item in value.items():
                if key not in defaults or item != defaults[key]:
                    parts += [option, f"{key}={item}"]
        elif value is True:
            parts.append(option)
        elif name not in _NOT_OPTIONS and isinstance(value, str | int | float) and not isinstance(value, bool):
            parts += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(parts)
