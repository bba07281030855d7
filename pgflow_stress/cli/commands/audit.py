"""`audit`: check the invariants of a saved result or a database; show that the checks would catch what they are for."""

from __future__ import annotations

from pathlib import Path

import click

from pgflow_stress.cli.request import target_options as target_of
from pgflow_stress.cli.run_options import server_options
from pgflow_stress.cli.sources import given
from pgflow_stress.core.errors import UsageFault


@click.command(short_help="Check the invariants of a saved result or a database; --self-test.")
@click.argument("result", nargs=-1, type=click.Path(path_type=Path))
@click.option("--flow-slug", multiple=True, metavar="SLUG", help="With --dsn: only this flow; may be repeated.")
@click.option("--self-test", is_flag=True, help="Plant defects into a pgflow of its own, and see each caught.")
@click.option("--mutant", multiple=True, metavar="NAME", help="With --self-test: only this one; may be repeated.")
@server_options
@click.option("--json", "json_", type=click.Path(allow_dash=True), metavar="PATH|-", help="Every check as JSON.")
@click.pass_context
def audit(
    ctx: click.Context,
    /,
    result: tuple[Path, ...],
    flow_slug: tuple[str, ...],
    self_test: bool,
    mutant: tuple[str, ...],
    json_: str | None,
    **_target: object,
) -> None:
    """Check every invariant, of each saved RESULT or with --dsn of a database; exit code 4 where one does not hold.

    A RESULT: its audit, its arithmetic, its sums. A database: pgflow's invariants over all flows, or those of
    --flow-slug, in one snapshot that changes nothing. --self-test plants one defect after another into pgflow in
    databases of its own, on the embedded server or with --dsn on that one, runs a small job on each and shows which
    check caught it; one that is not caught is a failure.
    """
    _check(ctx, result, self_test)
    if self_test:
        from pgflow_stress.cli.self_testing import execute  # noqa: PLC0415  --help is to be quick

        ctx.exit(execute(target_of(ctx), mutant, json_))
    from pgflow_stress.cli.auditing import of_database, of_results  # noqa: PLC0415

    ctx.exit(of_results(result, json_) if result else of_database(target_of(ctx), flow_slug, json_))


def _check(ctx: click.Context, result: tuple[Path, ...], self_test: bool) -> None:
    """Refuse what does not go together.

    Raises:
        UsageFault: it does not.
    """
    dsn = ctx.params["dsn"]
    if result and (self_test or dsn):
        raise UsageFault(f"a saved result and {'--self-test' if self_test else '--dsn'}: audit one at a time")
    if not (result or self_test or dsn):
        raise UsageFault("nothing to audit: give a saved result (audit RESULT), a database (--dsn) or --self-test")
    if given(ctx, "mutant") and not self_test:
        raise UsageFault("--mutant is one of the self-test's: give --self-test as well")
    if given(ctx, "flow_slug") and (self_test or not dsn):
        raise UsageFault("--flow-slug is a flow of a database: give it with --dsn, without --self-test")
    if not self_test:
        for name in ("isolation", "pgflow", "pg_setting", "yes_on"):
            if given(ctx, name):
                raise UsageFault(f"--{name.replace('_', '-')} is for --self-test: an audit changes nothing")
