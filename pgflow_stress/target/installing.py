"""`db install`: pgflow into a database of the user's, after his consent, and the mark that it may be filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.target import connect, privileges, realtime
from pgflow_stress.target.base import Say, TargetOptions
from pgflow_stress.target.choice import Choice
from pgflow_stress.target.given import Reached, reach
from pgflow_stress.target.install import Recipe, install, packaged_pgmq
from pgflow_stress.target.migrations import Migrations, find_migrations


@dataclass(frozen=True, slots=True)
class Installed:
    """What `db install` did."""

    what: str  # the database, in words
    already: bool  # it was there before
    facts: dict[str, Any]


def install_into(options: TargetOptions, choice: Choice, say: Say) -> Installed:
    """Install pgflow where there is none; where the same one is, see to the partitions of a database of ours.

    Raises:
        SetUpFault: the database can't be reached or must not be used, a right is missing, another pgflow is there.
        UsageFault: no database was given.
    """
    if choice.embedded:
        raise UsageFault("db install needs a database: give --dsn (the embedded server installs pgflow by itself)")
    realtime.send_sql(options.realtime_send)
    reached = reach(options, choice)
    migrations = find_migrations(options.pgflow, say)
    if reached.found.has_pgflow:
        _refuse_another(reached, migrations)
        if reached.found.marked:
            with connect.connected(reached.conninfo, reached.what) as connection:
                connect.run_script(connection, realtime.partitions_sql())
        return Installed(reached.what, True, reached.found.facts)
    with connect.connected(reached.conninfo, reached.what) as connection:
        privileges.check_install(connection, reached.what)
        say(f"installing pgflow {migrations.label} into {reached.what}")
        facts = install(connection, Recipe(migrations, packaged_pgmq(), options.realtime_send), reached.what)
    return Installed(reached.what, False, facts)


def _refuse_another(reached: Reached, migrations: Migrations) -> None:
    facts = reached.found.facts
    same = facts.get("migrations_sha256") == migrations.sha256 or (
        migrations.version is not None and facts.get("version") == migrations.version
    )
    if not same:
        raise SetUpFault(
            f"{reached.what} has another pgflow ({facts.get('label', 'unknown version')}): {migrations.label} is not "
            "installed over it; give an empty database"
        )
