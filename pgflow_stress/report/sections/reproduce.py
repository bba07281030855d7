"""How to reproduce: the command, the seed, the versions, every parameter."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.core.result import Json, Result
from pgflow_stress.report.repetition_words import flat
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import pairs

# Most parameters are options by the same name; steps, flows and runs are already scaled.
_NOT_OPTIONS = ("scale", "pilot", "after_history", "scenario_file", "derived", "over_hosts")
_OTHER_NAMES = {"observer_delay_ms": "observer_delay", "client_delay_us": "client_delay", "limits": "limit"}
_REPEATED = {"faults": "--fault", "interference": "--interference", "prune": "--prune"}
_DEFAULTS = {"limits": asdict(DEFAULT_LIMITS)}  # of those that are told only where they differ


def reproduce_view(subject: Subject) -> Json:
    """The command, versions, and a row a parameter."""
    result, environment = subject.result, subject.result.environment
    versions = [
        ("pgflow-stress", f"{result.tool.get('version')}, revision {result.tool.get('revision')}"),
        ("pgflow", _leaf(environment, "pgflow", "version")),
        ("PostgreSQL", _leaf(environment, "postgres", "version")),
        ("Python", _leaf(environment, "python", "version")),
        ("seed", str(result.scenario["parameters"].get("seed"))),
    ]
    return {
        "command": reproduce(result),
        "versions": pairs("Versions and seed; compare only with results of the same environment", versions),
        "parameters": pairs("Every effective parameter", flat(result.scenario["parameters"])),
    }


def _leaf(environment: Json, room: str, name: str) -> str:
    return str((environment.get(room) or {}).get(name, "unknown"))


def reproduce(result: Result) -> str:
    """The command line that asks for the same again; the machine and a given server's own settings are not in it."""
    return shlex.join(["pgflow-stress", "run", *arguments_of(result.scenario["name"], result.scenario["parameters"])])


def arguments_of(scenario: str, parameters: Json) -> list[str]:
    """The arguments of `run` that ask for a scenario with these parameters."""
    parts = [scenario]
    unasked = {*parameters.get("derived", ()), *_not_of_this_load(parameters)}
    for name, value in parameters.items():
        if name in unasked:
            continue
        if "." in name:  # of a scenario within a mix
            parts += ["-p", f"{name}={value}"]
            continue
        option = f"--{_OTHER_NAMES.get(name, name).replace('_', '-')}"
        if name == "pin" and value:
            parts += [option, ",".join(f"{role}={','.join(map(str, cpus))}" for role, cpus in value.items())]
        elif isinstance(value, Mapping) and name not in _NOT_OPTIONS:
            defaults = _DEFAULTS.get(name, {})
            for key, item in value.items():
                if key not in defaults or item != defaults[key]:
                    parts += [option, f"{key}={item}"]
        elif name == "stages" and value:
            parts += [option, ",".join(value)]
        elif name in _REPEATED:
            parts += [part for text in value for part in (_REPEATED[name], text)]
        elif value is True:
            parts.append(option)
        elif name not in _NOT_OPTIONS and isinstance(value, str | int | float) and not isinstance(value, bool):
            parts += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return parts


def _not_of_this_load(parameters: Json) -> tuple[str, ...]:
    """Options that `run` refuses with this load."""
    if parameters.get("stages"):
        return ("duration",)
    if parameters.get("in_flight") is not None:
        return ("arrival", "late")
    return ("duration", "arrival", "late", "starters")
