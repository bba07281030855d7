"""`--flow FILE.sql[:WEIGHT],…` and `--flow-slug NAME`: which flows of the user's own a command line is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pgflow_stress.cli.run_options import option_name
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.own import OwnFlow
from pgflow_stress.scenario.shapes import own_flow
from pgflow_stress.scenario.shapes.base import Shape
from pgflow_stress.target.base import TargetOptions

_READ = "pgflow_stress.cli.own_flows"
_MOST_BYTES = 10_000_000  # of one file
_FLOW, _SLUG = option_name(own_flow.FLOW), option_name(own_flow.FLOW_SLUG)


def implied_scenario(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Whoever names a flow of his own need not name the scenario."""
    return (own_flow.NAME,) if values.get(_FLOW) is not None or values.get(_SLUG) is not None else ()


def own_flows(
    ctx: click.Context, shape: Shape, parameters: tuple[tuple[str, str], ...], target: TargetOptions
) -> tuple[OwnFlow, ...]:
    """What a scenario needs to know of the user's flows; read once, however often a command line is parsed.

    Raises:
        StressError: a file or flow that cannot be had, or is none.
    """
    if shape.build_own is None:
        return ()
    given = dict(parameters)
    text, slug = given.get(own_flow.FLOW), given.get(own_flow.FLOW_SLUG)
    if text and slug:
        raise UsageFault("--flow and --flow-slug are both about which flow: give one of them")
    if not (text or slug):
        return ()
    weighted = _files(text) if text else []
    contents = tuple((name, _text(name)) for name, _ in weighted)
    # What decides how they are read; where results go and what is observed does not.
    asked = replace(target, events="none", aged=False, days_ahead=1)
    read: dict[object, tuple[OwnFlow, ...]] = ctx.meta.setdefault(_READ, {})
    key = (asked, contents, slug)
    if key not in read:
        from pgflow_stress.target.own_flows import read_own_flows  # noqa: PLC0415  --help is to be quick

        read[key] = read_own_flows(asked, contents, slug, quiet=bool(ctx.params["quiet"]))
    weights = dict(weighted)
    return tuple(replace(flow, weight=weights.get(flow.source, 1.0)) for flow in read[key])


def _files(text: str) -> list[tuple[str, float]]:
    """(name, weight) of each file; a name that is there as it is typed is taken as it is."""
    if _is_there(text):
        return [(text, 1.0)]
    found: list[tuple[str, float]] = []
    for part in text.split(","):
        name, _, weight = part.strip().rpartition(":")
        if not name or _is_there(part.strip()):
            name, weight = part.strip(), "1"
        if any(name == other for other, _ in found):
            raise UsageFault(f"--flow {text!r}: {name} is there twice")
        found.append((name, _weight(text, weight)))
    return found


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # as too long a name
        return False


def _weight(text: str, weight: str) -> float:
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageFault(f"--flow {text!r}: {weight!r} is no weight: give FILE.sql:WEIGHT, as in a.sql:3,b.sql:1")
    return number


def _text(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UsageFault(f"--flow {name}: it has more than {_MOST_BYTES:,} bytes: no flow has")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageFault(f"--flow {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise UsageFault(f"{name}:{before.count(10) + 1}:{column}: not UTF-8 text, so no flow's migration") from None
    except ValueError:  # a zero byte in its name
        raise UsageFault(f"--flow {name!r}: no name of a file") from None
    if "\0" in text:
        at = text.index("\0")
        line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
        raise UsageFault(f"{name}:{line}:{column}: there is a zero byte in it: no flow's migration")
    return text
