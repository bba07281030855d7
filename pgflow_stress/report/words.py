"""What a reader is told, in plain lines: shared by the terminal, HTML and Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.client_rules import is_client_bound
from pgflow_stress.analysis.limiting import CORES_EXHAUSTED
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.telemetry import server_host_of
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Metric, Result, Tasks
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report import worker_words
from pgflow_stress.report.telemetry import serialisation_words

# How phases and their latencies are called; the contract's names stay in the files.
PHASE_TITLES = {
    "create": "create",
    "start": "start",
    "process": "process",
    "steady": "steady",  # the part of process before the first idle worker
    "execute": "execute",
    "end_to_end": "end to end",
    "deliver": "deliver",
}
CODE_WORDS = {
    ExitCode.DONE: "done, every check held",
    ExitCode.RUN_FAILED: "the run itself failed",
    ExitCode.USAGE: "usage",
    ExitCode.SET_UP: "set-up",
    ExitCode.CHECK_FAILED: "a check failed",
    ExitCode.INVALID: "invalid for its purpose, or undecided",
    ExitCode.GATE_FAILED: "a threshold did not hold",
    ExitCode.TIMED_OUT: "a time-out or stall, work unfinished",
    ExitCode.INTERRUPTED: "interrupted",
}
_BUSY = 0.9  # of a core: what is left is scheduling
_MOSTLY_WAITING = 0.6
_ENOUGH_SECONDS = 12.0  # the rule asks for 10; a round number above it leaves room for a faster repetition


def latency_title(phase: str, load_model: str) -> str:
    """What a latency of this phase is called."""
    if phase in ("execute", "end_to_end"):
        return "time in a drained backlog" if load_model == "backlog-drain" else "response time"
    return {"process": "cycle time", "create": "create statement", "start": "start_flow", "deliver": "delivery"}[phase]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric as text: digits as many as its interval carries."""

    mean: str
    plus_minus: str  # "± 12 (1.3 %)", or "" where there is no interval
    valid: bool
    reasons: tuple[str, ...]


def estimate(result: Result, name: str) -> Estimate:
    """A metric of the summary, its interval, and whether it can be relied on."""
    metric = result.summary.get(name, Metric(None, None, None, 0, ()))
    verdict = result.verdict.metrics.get(name)
    info, digits, plus_minus = describe(name), 3, ""
    if metric.mean is not None and metric.ci95 is not None:
        half = (metric.ci95[1] - metric.ci95[0]) / 2
        digits = formats.digits_within(metric.mean, half)
        plus_minus = f"± {100 * half / abs(metric.mean):.2g} %" if metric.mean and math.isfinite(half) else ""
        if plus_minus and half >= abs(metric.mean):
            plus_minus = f"± {100 * half / abs(metric.mean):,.0f} %"
    return Estimate(
        mean=info.format(metric.mean, digits),
        plus_minus=plus_minus,
        valid=verdict.valid if verdict else False,
        reasons=verdict.reasons if verdict else (),
    )


def headline(result: Result) -> str:
    """One of `valid`, `quick look` and `not valid`."""
    if result.verdict.valid:
        return "valid"
    audit_ok = all(repetition.audit.ok for repetition in result.repetitions)
    return "quick look" if result.verdict.quick_look and audit_ok else "not valid"


def setting(result: Result) -> str:
    """The load in one line: what was run, by how many, how."""
    p = result.scenario["parameters"]
    shape = f"{_runs(result)} of {p['flows']:,} flow{_s(p['flows'])}, {p['steps']:,} step{_s(p['steps'])}"
    n = sum(1 for repetition in result.repetitions if repetition.counted)
    alone = [repetition.without for repetition in result.repetitions if repetition.baseline]
    without = f", {len(alone)} without {alone[0]}" if alone else ""
    return (
        f"{_offered(result)}; {shape}; {worker_words.workers(p)}; {n} repetition{_s(n)} counted of "
        f"{len(result.repetitions)}{without}{_through(result)}"
    )


def _through(result: Result) -> str:
    """The pooler that the workers went through."""
    postgres = result.environment.get("postgres")
    pooler = postgres.get("pooler") if isinstance(postgres, dict) else None
    if not isinstance(pooler, dict):
        return ""
    product = "a pooler" if pooler.get("product") == "unnamed" else pooler.get("product")
    return f"; through {product} in {pooler.get('mode')} mode"


def _offered(result: Result) -> str:
    """The load model with what was offered: of an open one its stages, of a closed one its runs in flight."""
    p = result.scenario["parameters"]
    if result.load_model == "open" and p.get("stages"):
        return f"open, {p.get('arrival')}, {' '.join(p['stages'])} (seconds:runs a second)"
    if result.load_model == "closed" and p.get("in_flight"):
        return f"closed, {p['in_flight']:,} run{_s(p['in_flight'])} in flight"
    return result.load_model


def _runs(result: Result) -> str:
    """Runs that were started, in a repetition; of a drained backlog all that were planned."""
    planned = result.scenario["parameters"]["runs"]
    started = [one.phases["start"].count for one in result.repetitions if "start" in one.phases]
    if result.load_model == "backlog-drain" or not started:
        return f"{planned:,} run{_s(planned)}"
    low, high = min(started), max(started)
    return f"{low:,} run{_s(low)}" if low == high else f"{low:,} to {high:,} runs"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def labels(result: Result) -> list[str]:
    """How far the numbers carry: each names a circumstance and what follows from it."""
    parameters = result.scenario["parameters"]
    said = []
    if aged := parameters.get("history"):
        said.append(f"aged database: {aged:,} finished tasks, then {parameters.get('after_history')}")
    elif parameters.get("isolation") in ("clone", "fresh"):
        said.append("fresh database: expect less in production")
    if parameters.get("planner_statistics") == "backlog":
        said.append(
            "planner statistics were taken of the standing backlog, as autovacuum would, between start and process: "
            "the rates of execute and end to end hold the time that it took"
        )
    return said + worker_words.model_labels(parameters) + list(result.verdict.notes)


def limited_by(result: Result) -> str:
    """What held the rate, as far as the result shows."""
    parameters = result.scenario["parameters"]
    runs, workers = parameters["runs"], parameters["workers"]
    share, server_cores = _mean(result, "client.utilization"), _server_cores(result)
    cores = len((result.environment.get("host") or {}).get("cpus_usable") or ())
    busy = []
    if share is not None:
        busy.append(f"workers were on CPU {formats.share(share)} of the process phase")
    if server_cores is not None:
        busy.append(f"the server used {formats.significant(server_cores, 2)} cores")
    seen = f" ({', '.join(busy)})" if busy else ""
    if is_client_bound(result.verdict.metrics):
        return f"the client{seen}"
    exhausted = any(note.startswith(CORES_EXHAUSTED) for note in result.verdict.notes)
    if exhausted or (server_cores is not None and cores and server_cores + (share or 0.0) * workers >= _BUSY * cores):
        how = CORES_EXHAUSTED if exhausted else f"{cores} cores"
        return f"the CPU of this host: {how}{seen}"
    if full := worker_words.at_work(result):
        return f"{full}{seen}"
    if (elsewhere := server_host_of(result)) is not None and elsewhere.busy_share >= _BUSY:
        return f"the CPU of the server's host: {elsewhere.cores} cores busy {formats.share(elsewhere.busy_share)}{seen}"
    return f"{_of_the_server(result, runs, workers, share)}{seen}"


def _of_the_server(result: Result, runs: int, workers: int, share: float | None) -> str:
    """What on the server's side held the rate, as far as the result shows."""
    if runs == 1:
        turns = f", {workers} workers take turns" if workers > 1 else ""
        allows = serialisation_words(result)
        return f"one run: its tasks serialise on its pgflow.runs row{turns}{f': {allows}' if allows else ''}"
    if runs < workers:
        return f"{runs} runs for {workers} workers: tasks of one run serialise on its pgflow.runs row"
    if share is not None and share < _MOSTLY_WAITING:
        return "the server and the way to it: locks, disk or round trips"
    return "not decided: no side is known to be busy"


def _mean(result: Result, name: str) -> float | None:
    metric = result.summary.get(name)
    return metric.mean if metric else None


def _server_cores(result: Result) -> float | None:
    """Cores that the server kept busy, over the common window: its cost a task counts all of it."""
    cost_ns, rate = _mean(result, "server.cpu_ns_per_task"), _mean(result, "end_to_end.per_second")
    return None if cost_ns is None or rate is None else cost_ns * rate / NS_PER_SECOND


def next_steps(result: Result) -> list[str]:
    """What to try next, most useful first."""
    name, parameters = result.scenario["name"], result.scenario["parameters"]
    said = []
    seconds = _mean(result, "process.seconds")
    if result.verdict.quick_look and seconds:
        factor = math.ceil(_ENOUGH_SECONDS / seconds) * parameters.get("scale", 1)
        longer = f"--scale {factor:g}" if result.load_model == "backlog-drain" else f"--duration {_ENOUGH_SECONDS:g}s"
        if own := parameters.get("flow") or parameters.get("flow_slug"):
            name = f"--flow{'' if parameters.get('flow') else '-slug'} {own}"
        said.append(f"long enough: pgflow-stress run {name} {longer}")
    if parameters["runs"] < parameters["workers"]:
        said.append("throughput over many runs: pgflow-stress run concurrent-flows")
    return said + worker_words.model_steps(parameters)


def task_totals(result: Result) -> Tasks:
    """Over all repetitions, warm-up included: what is lost there is lost too."""
    return Tasks(**{f.name: sum(getattr(r.tasks, f.name) for r in result.repetitions) for f in fields(Tasks)})


def accounted_for(result: Result) -> str:
    """Whether anything was lost, in one line."""
    totals = task_totals(result)
    others = {f.name: getattr(totals, f.name) for f in fields(Tasks) if f.name not in ("expected", "completed")}
    text = f"{totals.completed:,} of {totals.expected:,} tasks completed"
    text += "".join(f", {count:,} {name.replace('_', ' ')}" for name, count in others.items() if count)
    return text if totals.expected == totals.completed + sum(others.values()) else f"{text}: DOES NOT ADD UP"


def audit_words(result: Result) -> list[str]:
    """The audit: one line where it held, else one a failed check with the first offenders."""
    checks = sum(len(repetition.audit.checks) for repetition in result.repetitions)
    failed = [(r.index, check) for r in result.repetitions for check in r.audit.checks if not check.ok]
    if not failed and all(repetition.audit.ok for repetition in result.repetitions):
        return [f"audit ok: {checks:,} checks in {len(result.repetitions)} repetitions"]
    lines = [f"audit FAILED: {len(failed)} of {checks:,} checks"]
    for index, check in failed:
        ids = f": {', '.join(check.ids[:3])}{', …' if len(check.ids) > 3 else ''}" if check.ids else ""
        lines.append(f"repetition {index}, {check.name}: expected {check.expected}, found {check.found}{ids}")
    return lines


def endings(outcome: Mapping[str, Any]) -> list[str]:
    """Every code that applies, in words, then the reasons. Reads {exit_code, codes, reasons}."""
    code = int(outcome.get("exit_code", 0))
    others = [int(other) for other in outcome.get("codes", ()) if int(other) not in (code, 0)]
    named = [f"{one} ({CODE_WORDS[ExitCode(one)]})" for one in (code, *dict.fromkeys(others))]
    lines = [f"exit code {named[0]}" + (f"; also {', '.join(named[1:])}" if len(named) > 1 else "")]
    return lines + [str(reason) for reason in outcome.get("reasons", ())]


def gates(outcome: Mapping[str, Any]) -> list[str]:
    """Thresholds and what became of them. Reads gates: [{text, held, note}]."""
    words = {True: "held", False: "did NOT hold", None: "undecided"}
    return [
        f"{gate['text']}: {words[gate.get('held')]}" + (f" ({gate['note']})" if gate.get("note") else "")
        for gate in outcome.get("gates", ())
    ]
