"""The course of one `audit` of saved results or of a database: look, tell, write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.streams import say
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.result import Check, Json
from pgflow_stress.target.base import TargetOptions

SCHEMA = "pgflow-stress/audit/1"
_MOST_IDS = 3


def of_results(results: Sequence[Path], json: str | None) -> ExitCode:
    """Check each saved result.

    Raises:
        UsageFault: one is none, or the document could not be written.
    """
    if json:
        check_json(json)
    from pgflow_stress.analysis.consistency import check_result  # noqa: PLC0415  --help is quick
    from pgflow_stress.report.malformed import told_if_malformed  # noqa: PLC0415
    from pgflow_stress.report.saved import load  # noqa: PLC0415

    found = load(tuple(results))
    with told_if_malformed(found):
        return _tell([(saved.name, check_result(saved.result)) for saved in found], json)


def of_database(options: TargetOptions, flow_slugs: Sequence[str], json: str | None) -> ExitCode:
    """Check a database, every check told.

    Raises:
        SetUpFault: it cannot be read.
        UsageFault: a flow is not there, or the document could not be written.
    """
    if json:
        check_json(json)
    from pgflow_stress.engine.database_audit import audit_database  # noqa: PLC0415

    found = audit_database(options, flow_slugs)
    for check in found.checks:
        if check.ok:
            say(f"ok {check.name}")
    say(f"{found.what}: {found.flows} flow{'' if found.flows == 1 else 's'}")
    return _tell([(found.what, found.checks)], json)


def _tell(audited: Sequence[tuple[str, Sequence[Check]]], json: str | None) -> ExitCode:
    """A line a check that does not hold and one a subject; the document where one was asked for."""
    documents: list[Json] = []
    for name, checks in audited:
        failed = [check for check in checks if not check.ok]
        for check in failed:
            ids = f" ({', '.join(check.ids[:_MOST_IDS])}{', ...' if len(check.ids) > _MOST_IDS else ''})"
            say(f"{name}: {check.name}: expected {check.expected}, found {check.found}{ids if check.ids else ''}")
        say(f"{name}: {len(checks) - len(failed)} of {len(checks)} checks held")
        listed = [{"name": c.name, "ok": c.ok, "expected": c.expected, "found": c.found, "ids": c.ids} for c in checks]
        documents.append({"name": name, "ok": not failed, "checks": listed})
    held = all(document["ok"] for document in documents)
    if json:
        write_json({"schema": SCHEMA, "ok": held, "results": documents}, json)
    return ExitCode.DONE if held else ExitCode.CHECK_FAILED
