"""The course of one `doctor`: look at the target and the machine, judge, write, show."""

from __future__ import annotations

import sys
from functools import partial

from pgflow_stress.cli.assemble import tool
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.streams import show
from pgflow_stress.core.checkup import Checkup, Level, bad
from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.libpq import LibpqChoice
from pgflow_stress.core.redact import redact
from pgflow_stress.target.base import TargetOptions


def execute(options: TargetOptions, json: str | None, strict: bool) -> ExitCode:
    """Look, judge and tell; 3 where the target cannot be reached, with --strict 5 where a finding is bad."""
    if json:
        check_json(json)
    from pgflow_stress.engine.checks import check_all  # noqa: PLC0415  --help is to be quick
    from pgflow_stress.engine.checks.facts import ServerFacts, look  # noqa: PLC0415
    from pgflow_stress.engine.checks.looking import look_at_target  # noqa: PLC0415

    libpq: LibpqChoice | None = None
    server: ServerFacts | None = None
    fault = None
    try:
        libpq, server = look_at_target(options)
    except SetUpFault as reason:  # the machine's findings are told all the same
        fault = redact(str(reason))
    facts = look(libpq, _psycopg_half(), server)
    findings = check_all(facts)
    if fault is not None:
        findings.insert(0, ("target", bad(fault, "until then no run can begin")))
    checkup = Checkup(tool(), server.what if server else "not reached", findings)
    if json:
        write_json(checkup.as_json(), json)
    _show(checkup)
    if fault is not None:
        return ExitCode.SET_UP
    return ExitCode.INVALID if strict and checkup.worst is Level.BAD else ExitCode.DONE


def _psycopg_half() -> str | None:
    """Only if a target was reached for: which libpq it gets is settled then, and never changed."""
    if "psycopg" not in sys.modules:
        return None
    from psycopg import pq  # noqa: PLC0415

    return str(pq.__impl__)


def _show(checkup: Checkup) -> None:
    from pgflow_stress.report.checkup import render_checkup  # noqa: PLC0415

    show(partial(render_checkup, checkup))
