"""What differs between two results beside their numbers, what forbids to compare them, and noise between sessions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.result import Result

UNMEASURED_NOISE = 0.25
LEAST_NOISE_SESSIONS = 5
_MOST_NOISE = 0.99  # with more nothing could be worse
_MOST_CEILING_RATIO = 2.0
# Of the moment, or compared by a rule of their own.
_LEFT_OUT = frozenset({"host.load_1m_before", "calibration", "session"})
_ABSENT = "absent"
# Never left for last: what was done to either, and plans that only one of them was slowed by.
_FIRST = ("parameters.interference", "parameters.faults", "parameters.soak", "parameters.prune", "plans.outgrown")


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that is not the same; `name` is dotted: host.kernel, settings.jit, parameters.workers, tool.revision."""

    name: str
    base: Any  # JSON values
    candidate: Any


@dataclass(frozen=True, slots=True)
class Noise:
    """By how much two sessions of the same thing may differ, as a share; measured on this host, or taken to be."""

    share: float
    measured: bool


def differences(base: Result, candidate: Result) -> tuple[Difference, ...]:
    """Every fact of the fingerprints, parameters and tools that differs, by name in the order of the base.

    What was done to either comes first: it is never among those that a list leaves out.
    """
    before, after = dict(_facts(base)), dict(_facts(candidate))
    return tuple(
        Difference(name, before.get(name, _ABSENT), after.get(name, _ABSENT))
        for name in dict.fromkeys((*_FIRST, *before, *after))
        if before.get(name, _ABSENT) != after.get(name, _ABSENT)
    )


def _facts(result: Result) -> Iterator[tuple[str, Any]]:
    environment = {key: value for key, value in mapping(result.environment).items() if key not in _LEFT_OUT}
    yield from _leaves("", environment)
    yield from _leaves("parameters", mapping(result.scenario.get("parameters")))
    yield from _leaves("tool", mapping(result.tool))
    plans = [mapping(one) for r in result.repetitions if r.counted for one in mapping(r.server.get("plans")).values()]
    if plans:
        yield "plans.outgrown", any(one.get("outgrown") for one in plans)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        if path not in _LEFT_OUT:
            yield path, value
        return
    for key, item in value.items():
        yield from _leaves(f"{path}.{key}" if path else str(key), item)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one: results come out of files."""
    return value if isinstance(value, Mapping) else {}


def same_session(base: Result, candidate: Result) -> bool:
    """Whether both were measured in turns: `environment["session"]` is there and the same."""
    sessions = [mapping(result.environment).get("session") for result in (base, candidate)]
    return sessions[0] is not None and sessions[0] == sessions[1]


def refusal(base: Result, candidate: Result) -> str | None:
    """Why the two must not be compared at all; None where they may.

    Another scenario or load model is another question. Another disk or ceiling, beyond a factor of 2, is another
    machine: nothing that is then found is about what was changed. Within one session the machine is one.
    """
    for what, one, other in (
        ("scenarios", base.scenario.get("name"), candidate.scenario.get("name")),
        ("load models", base.load_model, candidate.load_model),
    ):
        if one != other:
            return f"different {what}: {one} and {other}"
    if same_session(base, candidate):
        return None
    before, after = dict(_ceilings(base)), dict(_ceilings(candidate))
    for name in before.keys() & after.keys():
        factor = max(before[name] / after[name], after[name] / before[name])
        if factor > _MOST_CEILING_RATIO:
            return (
                f"machines of another kind: {name} calibrated at {before[name]:,.0f} and {after[name]:,.0f} a second, "
                f"beyond a factor of {_MOST_CEILING_RATIO:g}"
            )
    return None


def _ceilings(result: Result) -> Iterator[tuple[str, float]]:
    """Durable commits and tasks inside the server a second, as `calibrate` last found them."""
    calibration = mapping(mapping(result.environment).get("calibration"))
    for part, leaf in (("disk", "commits_per_second"), ("ceiling", "tasks_per_second")):
        for name, value in mapping(mapping(calibration.get(part)).get("figures")).items():
            if name.rpartition(".")[2] == leaf and _is_positive(value):
                yield f"{part}.{name}", float(value)


def noise_between(base: Result, candidate: Result, metric: str) -> Noise | None:
    """The noise between the sessions of two results, for one metric; None within one session.

    Measured is what both carry in `environment["calibration"]["noise"]`: {"figures": {metric: share}}, with "sessions"
    among the figures, at least 5, or one share for all metrics; the larger of the two. What one host shows says
    nothing about the way to another: between hosts, and where it is not measured, 25 %, and more where more was
    measured.
    """
    if same_session(base, candidate):
        return None
    found = [_measured_noise(result, metric) for result in (base, candidate)]
    shares = [share for share in found if share is not None]
    if len(shares) == len(found) and _host(base) == _host(candidate):
        return Noise(max(shares), measured=True)
    return Noise(max((UNMEASURED_NOISE, *shares)), measured=False)


def _measured_noise(result: Result, metric: str) -> float | None:
    noise: Any = mapping(mapping(result.environment).get("calibration")).get("noise")
    if _is_positive(noise):
        return min(float(noise), _MOST_NOISE)
    figures = mapping(mapping(noise).get("figures"))
    sessions: Any = figures.get("sessions")
    share: Any = figures.get(metric)
    if not (_is_positive(sessions) and sessions >= LEAST_NOISE_SESSIONS and _is_positive(share)):
        return None
    return min(float(share), _MOST_NOISE)


def _host(result: Result) -> object:
    host = mapping(mapping(result.environment).get("host"))
    return host.get("name"), host.get("cpu_model")


def _is_positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0
