"""`run FILE.toml`: a scenario file as what it stands for, a scenario under options.

Command line, environment and --config beat it, as they beat a preset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pgflow_stress.cli.run_options import option_name
from pgflow_stress.cli.scenario_parameters import LOADS
from pgflow_stress.cli.scenario_schema import file_options, schema
from pgflow_stress.cli.sources import given, note_source
from pgflow_stress.core.durations import parse_duration
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.file_format import Located, check, parse
from pgflow_stress.scenario.presets import shape_of
from pgflow_stress.scenario.schedule import parse_stages
from pgflow_stress.scenario.shapes import own_flow, own_parameters

SUFFIX = ".toml"
_LOADED = "pgflow_stress.cli.scenario_files"
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """What a file says, as it would be typed."""

    scenario: str
    options: Mapping[str, Any]  # by click's name, converted
    parameters: tuple[tuple[str, str], ...]
    thresholds: tuple[str, ...]
    located: Located = field(repr=False)


def is_file(name: str) -> bool:
    """Whether a scenario's name is that of a file."""
    return name.endswith(SUFFIX)


def put_in(ctx: click.Context, names: Sequence[str]) -> tuple[str, ...]:
    """Put what a file says into the command's values where nothing else was given; the scenarios that are run.

    Raises:
        UsageFault: a file beside other scenarios, or what is wrong with it.
    """
    if not any(map(is_file, names)):
        return tuple(names)
    if len(names) > 1:
        raise UsageFault(f"a scenario file is run by itself: {', '.join(names)} are {len(names)}")
    file = load(ctx, names[0])
    loaded = any(given(ctx, name) for name in LOADS)
    for name, value in file.options.items():
        if not given(ctx, name) and not (name in LOADS and loaded):
            _put(ctx, file, name, value)
    if file.thresholds and not given(ctx, "threshold"):
        _put(ctx, file, "threshold", file.thresholds)
    _put_parameters(ctx, file)
    return (file.scenario,)


def _put(ctx: click.Context, file: ScenarioFile, name: str, value: Any) -> None:
    ctx.params[name] = value
    ctx.set_parameter_source(name, ParameterSource.DEFAULT_MAP)
    note_source(ctx, name, file.located.name)


def _put_parameters(ctx: click.Context, file: ScenarioFile) -> None:
    shape = shape_of(file.scenario)
    typed = {text.partition("=")[0].strip().replace("_", "-") for text in ctx.params["param"]}
    for name, value in file.parameters:
        is_size = shape is not None and name == shape.size
        if name in typed or given(ctx, option_name(name)) or (is_size and given(ctx, "steps")):
            continue
        if is_size:
            _put(ctx, file, "steps", int(value))
        elif name in own_parameters():
            _put(ctx, file, option_name(name), value)
        else:
            ctx.params["param"] = (*ctx.params["param"], f"{name}={value}")


def load(ctx: click.Context, name: str) -> ScenarioFile:
    """A scenario file, read once however often a command line is parsed.

    Raises:
        UsageFault: the first thing that is wrong with it, with its line and column where it has one.
    """
    loaded: dict[str, ScenarioFile] = ctx.meta.setdefault(_LOADED, {})
    if name not in loaded:
        located = read(name)
        for fault in faults(ctx, located):
            raise fault
        loaded[name] = _scenario_file(ctx, located)
    return loaded[name]


def read(name: str) -> Located:
    """Its values and places.

    Raises:
        UsageFault: it cannot be read, or is no TOML.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageFault(f"{name}: {error.strerror}") from None
    except ValueError:  # a zero byte in it
        raise UsageFault(f"{name!r}: no name of a file") from None
    if len(content) > _MOST_BYTES:
        raise UsageFault(f"{name}: it has more than {_MOST_BYTES:,} bytes: no scenario has")
    return parse(name, content)


def faults(ctx: click.Context, located: Located) -> Iterator[UsageFault]:
    """Everything that is wrong with a file by itself, before the scenario is built."""
    wrong = check(located, schema())
    yield from wrong
    if wrong:
        return
    values = located.values
    if "mix" in values:
        if values.get("scenario", "mix") != "mix":
            yield located.fault(
                ("scenario",), f"scenario {values['scenario']!r}: with [[mix]] it is mix; leave one out"
            )
        if "parameters" in values:
            yield located.fault(("parameters",), "parameters: each part of [[mix]] has its own")
        if not sum(part["weight"] for part in values["mix"]):
            yield located.fault(("mix",), "the weights of [[mix]] add up to 0: nothing would be run")
        named = [part["scenario"] for part in values["mix"]]
        for index, name in enumerate(named):
            if name in named[:index]:
                yield located.fault(("mix", index, "scenario"), f"scenario {name!r} is in [[mix]] twice")
    elif "scenario" not in values:
        yield located.fault((), "there must be a key 'scenario', or [[mix]]")
    yield from _option_faults(ctx, located)
    yield from _other_faults(located)


def _option_faults(ctx: click.Context, located: Located) -> Iterator[UsageFault]:
    known = file_options()
    for name, value in located.values.get("options", {}).items():
        try:
            _converted(ctx, known[name], value)
        except (click.UsageError, UsageFault) as error:
            said = error.message.rstrip(".") if isinstance(error, click.UsageError) else str(error)
            yield located.fault(("options", name), f"{name}: {said}")


def _other_faults(located: Located) -> Iterator[UsageFault]:
    for index, stage in enumerate(located.values.get("stages", ())):
        try:
            parse_stages(_stage(stage))
        except (ValueError, UsageFault):
            yield located.fault(
                ("stages", index, "duration"),
                f"duration {stage['duration']!r}: give 30s, 1m30s or seconds, above 0 and at most 30 days",
            )
    if located.values.get("thresholds"):
        from pgflow_stress.analysis.threshold import parse as parse_threshold  # noqa: PLC0415  pulls in numpy

        for index, text in enumerate(located.values["thresholds"]):
            try:
                parse_threshold(text)
            except UsageFault as fault:
                yield located.fault(("thresholds", index), str(fault))
    shape = shape_of(located.values.get("scenario", "mix"))
    if shape is not None and "mix" not in located.values:
        for parameter in shape.parameters:
            value = located.values.get("parameters", {}).get(parameter.name)
            try:
                if value is not None:
                    parameter.read(value)
            except UsageFault as fault:
                yield located.fault(("parameters", parameter.name), str(fault))


def _converted(ctx: click.Context, option: click.Option, value: Any) -> Any:
    if option.is_flag:
        return value
    if option.multiple:
        return option.type_cast_value(ctx, [str(one) for one in (value if isinstance(value, list) else [value])])
    return option.type_cast_value(ctx, str(value))


def _scenario_file(ctx: click.Context, located: Located) -> ScenarioFile:
    values, known = located.values, file_options()
    options = {
        str(known[name].name): _converted(ctx, known[name], value) for name, value in values.get("options", {}).items()
    }
    if "stages" in values:
        options["stages"] = ",".join(map(_stage, values["stages"]))
    scenario = values.get("scenario", "mix")
    return ScenarioFile(
        scenario, options, tuple(_parameters(located, scenario)), tuple(values.get("thresholds", ())), located
    )


def _stage(stage: Mapping[str, Any]) -> str:
    return f"{parse_duration(str(stage['duration'])):g}s:{stage['rate']:g}"


def placed(ctx: click.Context, name: str, fault: UsageFault) -> UsageFault:
    """What could not be run of a file, with the place of what it names, else of what the file is about."""
    located = load(ctx, name).located
    named: list[tuple[str, ...]] = [
        (table, word.removeprefix("--"))
        for word in re.findall(r"--[a-z][a-z-]*|[a-z][a-z-]*", str(fault))
        for table in ("options", "parameters")
    ]
    paths = [path for path in (*named, ("parameters",), ("mix",), ("scenario",)) if path in located.places]
    return located.fault(paths[0] if paths else (), str(fault))


def _parameters(located: Located, scenario: str) -> Iterator[tuple[str, str]]:
    parts = located.values.get("mix", ())
    if parts:
        yield "weights", ",".join(f"{part['scenario']}:{part['weight']:g}" for part in parts)
    for part in parts:
        for name, value in part.get("parameters", {}).items():
            yield f"{part['scenario']}.{name}", str(value)
    for name, value in located.values.get("parameters", {}).items():
        is_path = scenario == own_flow.NAME and name == own_flow.FLOW
        yield name, _beside(located.name, value) if is_path else str(value)


def _beside(name: str, text: str) -> str:
    """Paths in a file are seen from where the file is."""
    return ",".join(str(Path(name).parent / part.strip()) for part in text.split(","))
