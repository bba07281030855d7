"""The sections of a result's report, from top to bottom.

A new one is a module here with a function that makes its view out of a Subject, a template of the same name in
templates/sections/, and a line in SECTIONS.

A view is what the template shows as `view`; None leaves the section out. Its `plots` (report.plots.Plot) are drawn
where the template puts them with `plot(id, …)`, its tables where it puts them with `table(…)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pgflow_stress.core.result import Json
from pgflow_stress.report.sections.audit import audit_view
from pgflow_stress.report.sections.breakdown import breakdown_view
from pgflow_stress.report.sections.budget import budget_view
from pgflow_stress.report.sections.cost import cost_view
from pgflow_stress.report.sections.environment import environment_view
from pgflow_stress.report.sections.events import events_view
from pgflow_stress.report.sections.faults import faults_view
from pgflow_stress.report.sections.figures import figures_view
from pgflow_stress.report.sections.heat import heat_view
from pgflow_stress.report.sections.interference import interference_view
from pgflow_stress.report.sections.latency import latency_view
from pgflow_stress.report.sections.profile import profile_view
from pgflow_stress.report.sections.repetitions import repetitions_view
from pgflow_stress.report.sections.reproduce import reproduce_view
from pgflow_stress.report.sections.soak import soak_view
from pgflow_stress.report.sections.telemetry import telemetry_view
from pgflow_stress.report.sections.throughput import throughput_view
from pgflow_stress.report.subject import Subject


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its heading, and what it shows of a result."""

    title: str
    view: Callable[[Subject], Json | None]


SECTIONS: dict[str, Section] = {
    "figures": Section("Key figures", figures_view),
    "profile": Section("Where the server's time went", profile_view),
    "soak": Section("Soak: what drifts, what fills up", soak_view),
    "budget": Section("Time budget by phase", budget_view),
    "latency": Section("Latency", latency_view),
    "heat": Section("Latency over time", heat_view),
    "throughput": Section("Throughput over time", throughput_view),
    "breakdown": Section("Where the time of a run went", breakdown_view),
    "faults": Section("Faults: proof and recovery", faults_view),
    "interference": Section("Interference: proof, bystander, recovery", interference_view),
    "events": Section("Events: should, stored, received", events_view),
    "telemetry": Section("Resources, waits and locks", telemetry_view),
    "cost": Section("Cost of a task", cost_view),
    "audit": Section("Audit and incidents", audit_view),
    "repetitions": Section("Repetitions", repetitions_view),
    "reproduce": Section("How to reproduce", reproduce_view),
    "environment": Section("Environment", environment_view),
}
