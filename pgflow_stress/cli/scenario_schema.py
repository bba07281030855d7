"""The JSON Schema of scenario files, made of the options of `run` and of what the scenarios say of themselves."""

from __future__ import annotations

from typing import Any

import click

from pgflow_stress.cli.config import outside_name
from pgflow_stress.cli.run_options import option_name, run_parameters
from pgflow_stress.scenario.presets import PRESETS, names, shape_of
from pgflow_stress.scenario.shapes import SHAPES, own_parameters
from pgflow_stress.scenario.shapes.base import Parameter
from pgflow_stress.scenario.shapes.mix import PARTS

SCHEMA_ID = "pgflow-stress/scenario-file/1"
# What a file cannot say: where to measure, with whose consent, where results go; and what it has a key of its own for.
NOT_IN_A_FILE = frozenset(
    {"dsn", "direct_dsn", "yes_on", "allow_remote", "output", "json", "quiet", "progress", "param", "threshold"}
    | {"stages", "config", "prometheus"}
    | {"realtime_url", "realtime_key", "realtime_jwt", "realtime_private"}
)


def file_options() -> dict[str, click.Option]:
    """The options of `run` that `[options]` takes, by name with dashes."""
    own = {option_name(name) for name in own_parameters()}
    return {
        outside_name(one).replace("_", "-"): one
        for one in run_parameters()
        if outside_name(one) not in NOT_IN_A_FILE and one.name not in own
    }


def schema() -> dict[str, Any]:
    """The whole schema."""
    options = {name: {"$ref": f"#/$defs/options/{name}"} for name in _defined_options()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "pgflow-stress: a scenario file",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "scenario": {"enum": names(), "description": "Which scenario; with [[mix]] it is mix."},
            "description": {"type": "string", "description": "For people."},
            "parameters": {"type": "object", "description": "The scenario's own, as `scenarios describe` lists them."},
            "options": {
                "type": "object",
                "description": "Options of `run`.",
                "properties": options,
                "additionalProperties": False,
            },
            "stages": {
                "type": "array",
                "minItems": 1,
                "description": "An open load, stage by stage.",
                "items": {
                    "type": "object",
                    "required": ["duration", "rate"],
                    "additionalProperties": False,
                    "properties": {
                        "duration": {"type": ["number", "string"], "description": "Seconds, or 30s, 1m30s."},
                        "rate": {"type": "number", "exclusiveMinimum": 0, "description": "Runs started per second."},
                    },
                },
            },
            "mix": {
                "type": "array",
                "minItems": 1,
                "description": "Scenarios that are run at once, by weight.",
                "items": {
                    "type": "object",
                    "required": ["scenario", "weight"],
                    "additionalProperties": False,
                    "properties": {
                        "scenario": {"enum": list(PARTS)},
                        "weight": {"type": "number", "minimum": 0},
                        "parameters": {"type": "object"},
                    },
                    "allOf": [_parameters_of(name) for name in PARTS],
                },
            },
            "thresholds": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Gates, as 'execute.per_second>200'; exit 6 where one does not hold.",
            },
        },
        "allOf": [_parameters_of(name) for name in (*SHAPES, *PRESETS) if name != "mix"],
        "$defs": {"options": _defined_options()},
    }


def _defined_options() -> dict[str, Any]:
    return {name: {**_type(option.type, option), "description": option.help} for name, option in file_options().items()}


def _type(kind: click.ParamType[Any], option: click.Option) -> dict[str, Any]:
    if option.is_flag:
        return {"type": "boolean"}
    if option.multiple:
        return {"type": ["string", "array"]}
    if isinstance(kind, click.Choice):
        return {"enum": list(kind.choices)}
    if isinstance(kind, click.IntRange) and type(kind).__name__ == "Whole":
        return {"type": "integer", "minimum": kind.min, "maximum": kind.max}
    if isinstance(kind, click.FloatRange):
        least = "exclusiveMinimum" if kind.min_open else "minimum"
        return {"type": "number", least: kind.min, "maximum": kind.max}
    return {"type": ["string", "number"]}


def _parameters_of(name: str) -> dict[str, Any]:
    shape = shape_of(name)
    assert shape is not None
    own = {one.name: _parameter(one) for one in shape.parameters}
    return {
        "if": {"properties": {"scenario": {"const": name}}, "required": ["scenario"]},
        "then": {"properties": {"parameters": {"type": "object", "properties": own, "additionalProperties": False}}},
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {"description": parameter.help, "default": parameter.default}
    if parameter.choices:
        return {**found, "enum": list(parameter.choices)}
    if isinstance(parameter.default, str):
        return {**found, "type": "string"}
    kind = "integer" if isinstance(parameter.default, int) else "number"
    return {**found, "type": kind, "minimum": parameter.least, "maximum": parameter.most}
