"""The course of one `audit --self-test`: fork, open the target, try each mutant, tell, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pgflow_stress.cli.assemble import tool
from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.progress import QuietWatch
from pgflow_stress.cli.streams import complain, say
from pgflow_stress.core.errors import StressError, UsageFault
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Json
from pgflow_stress.engine.measurement import Ending
from pgflow_stress.target.base import Isolation, TargetOptions

if TYPE_CHECKING:
    from pgflow_stress.engine.self_test.self_test import Control, Outcome
    from pgflow_stress.engine.self_test.trial import Trial

SCHEMA = "pgflow-stress/self-test/1"
_MOST_IDS = 2


def execute(options: TargetOptions, names: Sequence[str], json: str | None) -> ExitCode:
    """Try the mutants of these names, all for none; 4 where one was not caught or a clean job alarmed.

    Raises:
        UsageFault: there is no such mutant, or the target would be somebody's database.
    """
    if json:
        check_json(json)
    from pgflow_stress.engine.self_test.mutants import chosen  # noqa: PLC0415  --help is to be quick

    mutants = chosen(names)
    if options.isolation is Isolation.PREFIX:
        raise UsageFault("--self-test plants defects into pgflow: --isolation clone or fresh, a database of its own")
    if options.dsn and options.isolation is None:
        options = replace(options, isolation=Isolation.FRESH)  # a clone's template would stay on that server
    began = time.monotonic()
    # The engine forks before anything here has a connection, so what may have one is imported after.
    from pgflow_stress.engine.engine import Engine  # noqa: PLC0415
    from pgflow_stress.engine.self_test.base import plans  # noqa: PLC0415
    from pgflow_stress.target.opening import open_target  # noqa: PLC0415

    outcome, pgflow = None, {}
    endings = []
    try:
        with Engine(plans()) as engine, open_target(replace(options, events="wal"), say) as target:
            from pgflow_stress.engine.self_test.self_test import SelfTest  # noqa: PLC0415

            trying = SelfTest(engine, target, QuietWatch(), _tell)
            outcome = trying.outcome
            pgflow = target.fingerprint().pgflow
            trying.run(mutants)
    except StressError as fault:
        endings.append(Ending(fault.exit_code, str(fault)))
    if outcome is None:
        return _end(endings)
    codes = [*outcome.endings, *endings]
    if not outcome.held:
        codes.append(Ending(ExitCode.CHECK_FAILED, outcome.complaint))
    if json:
        write_json(_document(outcome, pgflow, time.monotonic() - began), json)
    code = _end(codes)
    say(f"{outcome.caught} of {outcome.wanted} mutants caught")
    return code


def _end(endings: Sequence[Ending]) -> ExitCode:
    for ending in endings:
        complain(ending.reason)
    return worst(ending.code for ending in endings)


def _tell(one: Control | Trial) -> None:
    from pgflow_stress.engine.self_test.trial import Trial  # noqa: PLC0415  psycopg comes with it

    if not isinstance(one, Trial):
        say(f"control {one.when}: " + ("; ".join(one.alarms) or f"{one.checks} checks, no alarm"))
        return
    catch, name = one.catch, one.mutant.name
    if catch is None:
        seen = ", ".join(check.name for check in one.failed) or one.trouble or "nothing"
        say(f"NOT CAUGHT {name}: {one.mutant.caught_by} held; seen: {seen}")
        return
    ids = ", ".join(catch.ids[:_MOST_IDS]) + (", …" if len(catch.ids) > _MOST_IDS else "")
    say(f"caught {name}: {catch.name}: {catch.found}{f' ({ids})' if ids else ''}")


def _document(outcome: Outcome, pgflow: Json, seconds: float) -> Json:
    return {
        "schema": SCHEMA,
        "tool": tool(),
        "pgflow": pgflow,
        "ok": outcome.held,
        "seconds": round(seconds, 3),
        "caught": outcome.caught,
        "of": outcome.wanted,
        "controls": [control.as_json() for control in outcome.controls],
        "mutants": [trial.as_json() for trial in outcome.trials],
        "left_out": [mutant.name for mutant in outcome.left_out],
    }
