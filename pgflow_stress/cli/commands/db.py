"""`db`: the embedded server and pgflow in any database."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pgflow_stress.cli.output import check_json, write_json
from pgflow_stress.cli.param_types import PgflowSource, PgSetting, Several
from pgflow_stress.cli.sources import typed
from pgflow_stress.cli.streams import say
from pgflow_stress.core.errors import RunFailed
from pgflow_stress.target.base import TargetOptions

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_DEFAULT = TargetOptions()

_GIVEN = (
    click.option("--dsn", metavar="DSN", help="The database.  [default: DATABASE_URL, else libpq's variables]"),
    click.option(
        "--yes-on",
        type=Several(),
        multiple=True,
        metavar="NAME",
        help="Consent to this database, where it wasn't typed.",
    ),
    click.option("--allow-remote", is_flag=True, help="Consent to a host that is neither loopback nor a socket."),
)
_PGFLOW = (
    click.option(
        "--pgflow",
        type=PgflowSource(),
        default=_DEFAULT.pgflow,
        show_default=True,
        metavar="VERSION|DIR",
        help="Which migrations: an npm version or a directory of them.",
    ),
    click.option(
        "--realtime-send",
        type=click.Choice(["supabase", "insert", "notify", "noop"]),
        default=_DEFAULT.realtime_send,
        show_default=True,
        help="Body of realtime.send.",
    ),
)


def _with(*options: Callable[[Any], Any]) -> Callable[[_Decorated], _Decorated]:
    def decorate(function: _Decorated) -> _Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.group()
def db() -> None:
    """Up, down, status, install, clean: the embedded server and pgflow in any database."""


@db.command()
@_with(*_PGFLOW)
@click.option("--pg-setting", type=PgSetting(), multiple=True, metavar="NAME=VALUE", help="A setting of the server.")
@click.option(
    "--purpose",
    type=click.Choice(["compare", "capacity"]),
    default=_DEFAULT.purpose,
    show_default=True,
    help="Settings: fresh and quiet, or aged and with checkpoints.",
)
def up(pgflow: str, realtime_send: str, pg_setting: tuple[str, ...], purpose: str) -> None:
    """Boot the embedded server with its template, and keep it until `db down`."""
    from pgflow_stress.target.upkeep import up as boot  # noqa: PLC0415  --help imports this module

    settings = (text.partition("=") for text in pg_setting)
    options = TargetOptions(
        pgflow=pgflow,
        realtime_send=realtime_send,
        purpose=purpose,
        pg_settings=tuple((name.strip(), value.strip()) for name, _, value in settings),
    )
    found = boot(options, say)
    say(f"PostgreSQL {found.version} is up, process {found.pid}, until `pgflow-stress db down`\n  {found.conninfo}")


@db.command()
def down() -> None:
    """Stop the embedded server, now or with its last user."""
    from pgflow_stress.target.upkeep import down as stop  # noqa: PLC0415

    if not stop(say):
        say("no embedded server is running")


@db.command()
@click.option("--json", "json_to", type=click.Path(allow_dash=True), metavar="PATH|-", help="The same as data.")
def status(json_to: str | None) -> None:
    """Say which embedded servers there are, who uses them and what is on them."""
    from pgflow_stress.target import upkeep  # noqa: PLC0415

    if json_to:
        check_json(json_to)
    found = upkeep.status()
    if json_to:
        write_json(upkeep.as_json(found), json_to)
        return
    if not found:
        say("there is no embedded server yet: the first run or `pgflow-stress db up` makes it")
    for one in found:
        settings = "".join(f" {name}={value}" for name, value in one.settings)
        state = (
            f"up, process {one.pid}{', kept' if one.kept else ''}, users: {len(one.users)}" if one.running else "down"
        )
        say(f"{one.key}{settings}: {state}")
        if one.conninfo:
            say(f"  {one.conninfo}")
        for name, kind in one.databases.items():
            say(f"  {kind:<10} {name}")


@db.command()
@_with(*_GIVEN, *_PGFLOW)
@click.pass_context
def install(ctx: click.Context, /, **values: Any) -> None:
    """Install pgflow into a given database and mark it as one that may be filled; does nothing where it is there."""
    from pgflow_stress.target.choice import choose_target  # noqa: PLC0415
    from pgflow_stress.target.installing import install_into  # noqa: PLC0415

    options = TargetOptions(dsn_typed=typed(ctx, "dsn"), **values)
    done = install_into(options, choose_target(options, os.environ), say)
    label, pgmq = done.facts["label"], done.facts["pgmq"]
    has = "has it already" if done.already else "is ready"
    say(f"{done.what} {has}: pgflow {label}, pgmq {pgmq['version'] or 'of unknown version'} as {pgmq['installed_as']}")


@db.command()
@_with(*_GIVEN)
@click.pass_context
def clean(ctx: click.Context, dsn: str | None, yes_on: tuple[str, ...], allow_remote: bool) -> None:
    """Remove what dead runs left: databases, slots, publications, rows, old templates and servers.

    Without --dsn on the embedded servers, whatever DATABASE_URL says; with it there.
    """
    from pgflow_stress.target.choice import choose_target  # noqa: PLC0415
    from pgflow_stress.target.sweeping import clean_embedded, clean_given  # noqa: PLC0415

    options = TargetOptions(dsn=dsn or None, dsn_typed=typed(ctx, "dsn"), yes_on=yes_on, allow_remote=allow_remote)
    problems: list[str] = []
    if options.dsn:
        removed, problems = clean_given(options, choose_target(options, os.environ))
    else:
        removed = clean_embedded(say)
    for name in removed:
        say(f"removed {name}")
    if problems:
        raise RunFailed(f"could not be removed: {'; '.join(problems)}")
    if not removed:
        say("nothing was left to remove")
