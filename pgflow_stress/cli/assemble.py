"""Puts a scenario's result together from what engine, target and analysis say."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pgflow_stress import __version__
from pgflow_stress.analysis.evidence import DEFAULT_LIMITS, Limits
from pgflow_stress.analysis.threshold import Gate, Threshold, caution, decide
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Json, Repetition, Result, Verdict
from pgflow_stress.engine.calibration.saved import host_key, last_calibration
from pgflow_stress.engine.measurement import Ending, Measurement
from pgflow_stress.target.base import Fingerprint, TargetOptions

_GIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Gates:
    """What a measurement is held against."""

    thresholds: tuple[Threshold, ...]
    strict: bool
    limits: Limits = DEFAULT_LIMITS


def tool() -> Json:
    """Version and revision of this tool; the revision is None outside a checkout of ours."""
    return {"version": __version__, "revision": _revision()}


def _revision() -> str | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def environment(fingerprint: Fingerprint, machine: Json, pin: Mapping[str, Sequence[int]]) -> Json:
    """The whole fingerprint: the machine's part and the target's, and what `calibrate` last found of both, or None."""
    whole: Json = {
        **machine,
        "postgres": fingerprint.postgres,
        "pgflow": fingerprint.pgflow,
        "settings": fingerprint.settings,
        "calibration": last_calibration(host_key(machine.get("host", {}), fingerprint.postgres, fingerprint.settings)),
    }
    shared = share_cores(pin, machine.get("host", {}).get("smt_siblings") or [])
    return whole if shared is None else {**whole, "co_located": shared}


def share_cores(pin: Mapping[str, Sequence[int]], siblings: Iterable[Sequence[int]]) -> bool | None:
    """Whether pinned workers and server meet on a core, SMT siblings counting as one; None where they aren't pinned."""
    if not (pin.get("worker") and pin.get("postgres")):
        return None
    core_of = {cpu: min(group) for group in siblings for cpu in group}
    workers, server = ({core_of.get(cpu, cpu) for cpu in pin[role]} for role in ("worker", "postgres"))
    return bool(workers & server)


def assemble(
    measurement: Measurement, about: Json, surroundings: Json, target: TargetOptions, gates: Gates
) -> tuple[Result, tuple[Ending, ...]]:
    """One scenario's result, and every reason for a code other than 0.

    Args:
        measurement: of at least one repetition.
        about: `tool()`, taken before anything ran.
        surroundings: `environment()`, likewise.
        target: what was asked of the target, for the parameters.
        gates: thresholds, strictness and the rules' limits.
    """
    # Imported here: they bring scipy, for which the first statement is not to wait.
    from pgflow_stress.analysis.client_probe import probe_client  # noqa: PLC0415
    from pgflow_stress.analysis.paired_cost import paired_cost  # noqa: PLC0415
    from pgflow_stress.analysis.profile import profile_of  # noqa: PLC0415
    from pgflow_stress.analysis.soak import judge_soak  # noqa: PLC0415
    from pgflow_stress.analysis.summary import summarise  # noqa: PLC0415
    from pgflow_stress.analysis.verdict import judge  # noqa: PLC0415

    parameters = {**target_parameters(target), **measurement.parameters, "limits": asdict(gates.limits)}
    summary = summarise(measurement.repetitions)
    verdict = judge(parameters, measurement.repetitions, surroundings, gates.limits)
    decided = [decide(threshold, summary, gates.strict) for threshold in gates.thresholds]
    endings = (*measurement.endings, *gate_endings(decided, verdict, gates.strict))
    cautions = [caution(threshold, measurement.plan.load_model) for threshold in gates.thresholds]
    told = [gate_json(gate, note) for gate, note in zip(decided, cautions, strict=True)]
    ended = {**outcome(endings), "gates": told}
    if costs := paired_cost(measurement.repetitions):
        of = "telemetry_cost" if measurement.plan.options.telemetry_cost else "observer_cost"
        ended[of] = {name: cost.as_json() for name, cost in costs.items()}
    if probe := probe_client(measurement.repetitions):
        ended["client_probe"] = probe.as_json()
    if soaks := [repetition.soak for repetition in measurement.repetitions if repetition.soak]:
        ended["soak"] = judge_soak(soaks[-1]).as_json()
    if failures := failures_of(measurement.repetitions):
        ended["failures"] = failures
    result = Result(
        tool=about,
        scenario={"name": measurement.plan.scenario, "parameters": parameters},
        load_model=measurement.plan.load_model,
        environment=surroundings,
        hosts=(_this_host(measurement, surroundings),),
        repetitions=measurement.repetitions,
        summary=summary,
        verdict=verdict,
        outcome=ended,
    )
    if measurement.plan.options.profiled:
        result = replace(result, profile=profile_of(result))
    return result, endings


def failures_of(repetitions: Sequence[Repetition]) -> dict[str, int]:
    """Tasks that failed by what they failed of, commonest first, over all repetitions: a failure of a warm-up too."""
    counts: Counter[str] = Counter()
    for repetition in repetitions:
        counts.update(repetition.failures)
    return dict(counts.most_common())


def target_parameters(target: TargetOptions) -> Json:
    """What was asked of the target, without how to get into it."""
    return {
        "pgflow": target.pgflow,
        "realtime_send": target.realtime_send,
        "pg_setting": dict(target.pg_settings),
    }


def outcome(endings: Sequence[Ending]) -> Json:
    """The exit code with all that contributed to it."""
    codes = sorted({ending.code for ending in endings})
    return {
        "exit_code": int(worst(codes)),
        "codes": [int(code) for code in codes],
        "reasons": [ending.reason for ending in endings],
    }


def gate_json(gate: Gate, note: str | None) -> Json:
    """A gate as the result's outcome has it."""
    ci95 = list(gate.ci95) if gate.ci95 else None
    told = {"text": gate.text, "held": gate.held, "mean": gate.mean, "ci95": ci95}
    return told if note is None else {**told, "note": note}


def gate_endings(gates: Iterable[Gate], verdict: Verdict, strict: bool) -> Iterable[Ending]:
    """Why gates, and with --strict the verdict, end a run with another code than 0."""
    for gate in gates:
        if gate.held is None:
            yield Ending(ExitCode.INVALID, f"threshold {gate.text} could not be decided: {_found(gate)}")
        elif not gate.held:
            yield Ending(ExitCode.GATE_FAILED, f"threshold {gate.text} did not hold: {_found(gate)}")
    if strict and not verdict.valid:
        yield Ending(ExitCode.INVALID, f"the measurement is invalid: {'; '.join(verdict.reasons)}")


def _found(gate: Gate) -> str:
    if gate.mean is None:
        return "there is no value"
    interval = f", 95 % interval {gate.ci95[0]:.6g} to {gate.ci95[1]:.6g}" if gate.ci95 else ", no interval"
    return f"mean {gate.mean:.6g}{interval}"


def _this_host(measurement: Measurement, surroundings: Mapping[str, Any]) -> Json:
    return {
        "name": measurement.plan.options.host_id or surroundings["host"]["name"],
        "workers": measurement.plan.options.workers,
        "tasks": sum(measurement.tasks_by_worker),
        "tasks_by_worker": list(measurement.tasks_by_worker),
        "clock_offset_ns": 0,
        "clock_error_ns": 0,
    }
