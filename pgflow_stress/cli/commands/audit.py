"""`audit`: check the invariants of a saved result."""

from __future__ import annotations

from pathlib import Path

import click

from pgflow_stress.cli.later import NOT_YET
from pgflow_stress.cli.streams import say, write_data
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.exit_codes import ExitCode

SCHEMA = "pgflow-stress/audit/1"
_MOST_IDS = 3


@click.command()
@click.argument("result", nargs=-1, type=click.Path(path_type=Path))
@click.option("--self-test", is_flag=True, help="Plant faults and see each found (not available yet).")
@click.option("--dsn", metavar="DSN", help="Audit a database (not available yet).")
@click.option("--json", "json_", metavar="PATH|-", help="Every check as JSON; - is standard output.")
@click.pass_context
def audit(ctx: click.Context, result: tuple[Path, ...], self_test: bool, dsn: str | None, json_: str | None) -> None:
    """Check every invariant of each saved RESULT: its audit, its arithmetic, its sums.

    Exit code 4 where one does not hold. Auditing a database is not available yet.
    """
    if self_test:
        raise UsageFault(f"audit --self-test {NOT_YET}")
    if dsn or not result:
        raise UsageFault(f"auditing a database {NOT_YET}; give a saved result: audit RESULT")
    from pgflow_stress.analysis.consistency import check_result  # noqa: PLC0415  --help is quick
    from pgflow_stress.report.result_file import dump, require_writable, write_atomically  # noqa: PLC0415
    from pgflow_stress.report.saved import load  # noqa: PLC0415

    if json_ and json_ != "-":
        require_writable(Path(json_))
    documents, held = [], True
    for saved in load(result):
        checks = check_result(saved.result)
        failed = [check for check in checks if not check.ok]
        held = held and not failed
        for check in failed:
            ids = f" ({', '.join(check.ids[:_MOST_IDS])}{', ...' if len(check.ids) > _MOST_IDS else ''})"
            say(f"{saved.name}: {check.name}: expected {check.expected}, found {check.found}{ids if check.ids else ''}")
        say(f"{saved.name}: {len(checks) - len(failed)} of {len(checks)} checks held")
        listed = [{"name": c.name, "ok": c.ok, "expected": c.expected, "found": c.found, "ids": c.ids} for c in checks]
        documents.append({"name": saved.name, "ok": not failed, "checks": listed})
    if json_:
        text = dump({"schema": SCHEMA, "ok": held, "results": documents})
        if json_ == "-":
            write_data(text)
        else:
            write_atomically(Path(json_), text)
    ctx.exit(ExitCode.DONE if held else ExitCode.CHECK_FAILED)
