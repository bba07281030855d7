"""`calibrate --noise`: sessions of one small job, each with new processes and a server booted anew, and their noise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgflow_stress.cli.assemble import tool
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.streams import complain, say
from pgflow_stress.core.calibration import SCHEMA
from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Json
from pgflow_stress.engine.calibration.saved import host_key, kept_sessions, save_noise
from pgflow_stress.target.base import TargetOptions

JOB = ("concurrent-flows", "--flows", "4", "--runs", "40", "--steps", "10", "--repetitions", "5", "--warmup", "1")
METRIC = "execute.per_second"
_KEPT_VARIABLES = ("PGFLOW_STRESS_STATE", "PGFLOW_STRESS_CACHE")
_OTHER_TARGETS = ("DATABASE_URL", "PGHOST", "PGSERVICE", "PGDATABASE")


@dataclass(frozen=True, slots=True)
class NoiseRequest:
    """One call of `calibrate --noise`."""

    target: TargetOptions
    sessions: int
    json: str | None


def execute(request: NoiseRequest) -> ExitCode:
    """Measure the sessions, keep each as it comes, tell the noise of all that are kept."""
    if request.target.dsn:
        raise UsageFault("--noise boots the embedded server anew for each session: leave --dsn out")
    if request.json:
        check_json(request.json)
    noise: Json = {}
    around: Json = {}
    for number in range(1, request.sessions + 1):
        say(f"session {number} of {request.sessions}")
        try:
            result = _session(request.target)
            around = result["environment"]
            noise = _keep(result)
        except RunFailed as fault:
            complain(str(fault))
            return fault.exit_code
    if request.json:
        document = {"schema": SCHEMA, "tool": tool(), "measured_at": noise["measured_at"], "seconds": None, "pin": {},
                    "environment": {**around, "calibration": None}, "measurements": {"noise": noise}}  # fmt: skip
        write_json(document, request.json)
    say(told(noise))
    return ExitCode.DONE


def _session(target: TargetOptions) -> Json:
    """The result of one.

    Raises:
        RunFailed: it did not end as it should.
    """
    settings = [part for name, value in target.pg_settings for part in ("--pg-setting", f"{name}={value}")]
    with tempfile.TemporaryDirectory(prefix="pgflow-stress-noise-") as folder:
        path = Path(folder, "result.json")
        command = [sys.executable, "-m", "pgflow_stress.cli.main", "run", *JOB, "--pgflow", target.pgflow, *settings,
                   "--realtime-send", target.realtime_send, "--quiet", "--json", str(path)]  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=_environment()) as running:
            try:
                code = running.wait()
            except BaseException:  # a signal: it has had it too where it came from the terminal
                running.terminate()
                running.wait()
                raise
        if code or not path.exists():
            raise RunFailed(f"a session ended with {code}: the noise between sessions was not measured further")
        found: Json = json.loads(path.read_text(encoding="utf-8"))
        return found


def _environment() -> dict[str, str]:
    """Ours, without what would change the job or the target."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT_VARIABLES or not (name.startswith("PGFLOW_STRESS_") or name in _OTHER_TARGETS)
    }


def _keep(result: Json) -> Json:
    """Add a session to those of this host and server; the noise of all of them."""
    from pgflow_stress.analysis.noise import noise_between_sessions  # noqa: PLC0415  it brings scipy

    around = result["environment"]
    key = host_key(around["host"], around["postgres"], around["settings"])
    job = f"{' '.join(JOB)} --pgflow {result['scenario']['parameters']['pgflow']}"
    session = {"at": _now(), "job": job, "values": _values(result["summary"])}
    sessions = [*kept_sessions(key, job, time.time()), session]
    shares = noise_between_sessions([one["values"] for one in sessions])
    figures = {"sessions": _figure("count", len(sessions)), **{n: _figure("share", s) for n, s in shares.items()}}
    part: Json = {"figures": figures, "facts": {"sessions": sessions}, "reason": None, "measured_at": session["at"]}
    try:
        save_noise(key, part)
    except OSError as error:
        raise RunFailed(f"the sessions cannot be kept: {error.strerror}") from error
    return part


def _values(summary: Any) -> dict[str, list[float]]:
    """Of each metric that is compared, where all repetitions have one above 0."""
    from pgflow_stress.analysis.metrics import METRICS  # noqa: PLC0415

    listed = {name: summary[name]["values"] for name, info in METRICS.items() if info.better and name in summary}
    return {name: values for name, values in listed.items() if values and all(v is not None and v > 0 for v in values)}


def _figure(unit: str, value: float) -> Json:
    return {"unit": unit, "median": value, "low": value, "high": value, "n": 1, "values": [value], "reason": None}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def told(part: Json) -> str:
    """The noise in a line: how many sessions, since when, and what they show of the rate."""
    figures, sessions = part["figures"], part["facts"]["sessions"]
    many = f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}"
    since = f"{many}, {sessions[0]['at'][:10]} to {sessions[-1]['at'][:10]}"
    if METRIC not in figures:
        return f"noise between sessions: not known yet ({since}; it takes 5)"
    return f"noise between sessions: {METRIC} ±{100 * figures[METRIC]['median']:.2g} % ({since})"
