"""--soak and --prune: what they ask for, and what they make of the other options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pgflow_stress.cli.sources import given
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.soak import LEAST_SECONDS, MOST_PRUNES, PruneSpec, parse_prune

_DEFAULTS = {"repetitions": 1, "warmup": 0, "purpose": "capacity"}
_NOT_WITH = ("full", "observer_cost", "telemetry_cost", "probe_client", "in_flight", "runs")


def settle_soak(ctx: click.Context) -> None:
    """Put the defaults of a soak in: one repetition, for capacity, so that vacuums and checkpoints are part of it.

    Raises:
        UsageFault: options that do not go with it, or --prune without it.
    """
    values = ctx.params
    if not values.get("soak"):
        if values.get("prune"):
            raise UsageFault("--prune is measured in a soak: give --soak as well")
        return
    for name in _NOT_WITH:
        if given(ctx, name) and values.get(name):
            raise UsageFault(f"--soak is one long open load: leave --{name.replace('_', '-')} out")
    for name, default in _DEFAULTS.items():
        if not given(ctx, name):
            values[name] = default
    if values["repetitions"] != 1 or values["warmup"] != 0:
        raise UsageFault("--soak is one repetition without a warm-up: leave --repetitions and --warmup out")
    if (values["rate"] is None or values["duration"] is None) and not values["stages"]:
        raise UsageFault("--soak takes an open load that lasts: give --rate and --duration, as in -R 100 -T 4h")


def checked_soak(values: Mapping[str, Any], duration_seconds: float | None) -> tuple[PruneSpec, ...]:
    """The jobs of retention of a soak.

    Raises:
        UsageFault: it is too short, or a job is none or never comes.
    """
    if not values.get("soak"):
        return ()
    texts: tuple[str, ...] = values["prune"]
    seconds = duration_seconds or 0.0
    if seconds < LEAST_SECONDS:
        raise UsageFault(f"--soak: {seconds:g} s are too short for a slope, give at least {LEAST_SECONDS:g} s")
    if len(texts) > MOST_PRUNES:
        raise UsageFault(f"{len(texts)} times --prune: at most {MOST_PRUNES}")
    prunes = tuple(parse_prune(text) for text in texts)
    for prune in prunes:
        if prune.every_seconds > seconds:
            raise UsageFault(f"--prune {prune.text!r}: it would first run beyond --duration {seconds:g} s")
    if prunes and values["events"] != "none":
        raise UsageFault("--prune removes what --events accounts for: leave one of them out")
    return prunes
