"""Measure what was asked for, one measurement after another; what fails says why and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

import psycopg

from pgflow_stress.core.calibration import Part
from pgflow_stress.core.errors import Interrupted, StressError
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.engine.calibration import MEASUREMENTS
from pgflow_stress.engine.calibration.ground import Ground
from pgflow_stress.engine.measurement import Ending


def measure_all(
    ground: Ground, names: Iterable[str], note: Callable[[str], None]
) -> tuple[dict[str, Part], list[Ending]]:
    """The parts by name, and an ending for each that failed.

    Args:
        ground: target and conditions.
        names: of the registry, measured in its order.
        note: told the name of each before it begins.
    """
    wanted = set(names)
    parts: dict[str, Part] = {}
    endings: list[Ending] = []
    for name, entry in MEASUREMENTS.items():
        if name not in wanted:
            continue
        note(name)
        module, _, function = entry.partition(":")
        try:
            parts[name] = getattr(import_module(module), function)(ground)
        except Interrupted:
            raise
        except (StressError, psycopg.Error, ConnectionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            parts[name] = Part(reason=reason)
            code = error.exit_code if isinstance(error, StressError) else ExitCode.RUN_FAILED
            endings.append(Ending(code, f"{name} could not be measured: {reason}"))
    return parts, endings
