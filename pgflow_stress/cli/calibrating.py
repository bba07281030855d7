"""The course of one `calibrate`: open the target, measure, keep, write, show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from pgflow_stress.cli.assemble import tool
from pgflow_stress.cli.noise import told
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.streams import complain, say, show
from pgflow_stress.core.calibration import Calibration
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Json
from pgflow_stress.engine.calibration.saved import host_key, kept_noise, save
from pgflow_stress.target.base import TargetOptions


@dataclass(frozen=True, slots=True)
class CalibrateRequest:
    """One call of `calibrate`."""

    target: TargetOptions
    names: tuple[str, ...]  # of engine.calibration.MEASUREMENTS
    seconds: float
    pin: tuple[tuple[str, tuple[int, ...]], ...]
    json: str | None


def execute(request: CalibrateRequest) -> ExitCode:
    """Measure, then tell; the worst code of what failed."""
    if request.json:
        check_json(request.json)
    from pgflow_stress.engine.host import host_environment  # noqa: PLC0415  --help is to be quick
    from pgflow_stress.target.opening import open_target  # noqa: PLC0415

    measured_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open_target(request.target, say) as target:
        # The target has settled which libpq it is; before that nothing may import psycopg.
        from pgflow_stress.engine.calibration.calibrate import measure_all  # noqa: PLC0415
        from pgflow_stress.engine.calibration.ground import Ground  # noqa: PLC0415

        found = target.fingerprint()
        environment: Json = {
            **host_environment(), "postgres": found.postgres, "pgflow": found.pgflow, "settings": found.settings,
        }  # fmt: skip
        pin = dict(request.pin)
        ground = Ground(target, request.seconds, pin.get("worker", ()), pin.get("postgres", ()))
        parts, endings = measure_all(ground, request.names, lambda name: say(f"measuring {name}"))
    calibration = Calibration(tool(), measured_at, request.seconds, pin, environment, parts)
    document = calibration.as_json()
    key = host_key(environment["host"], found.postgres, found.settings)
    try:
        save(key, document)
    except OSError as error:  # only results of later runs would quote it
        say(f"the calibration could not be kept for later runs: {error.strerror}")
    if request.json:
        write_json(document, request.json)
    _show(calibration)
    if kept := kept_noise(key):
        say(told(kept))
    for ending in endings:
        complain(ending.reason)
    return worst(ending.code for ending in endings)


def _show(calibration: Calibration) -> None:
    from pgflow_stress.report.calibration import render_calibration  # noqa: PLC0415

    show(partial(render_calibration, calibration))
