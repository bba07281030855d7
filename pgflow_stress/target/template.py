"""Templates: a database with pgflow installed, made once, of which every repetition gets a clone.

A template is built under another name, under an advisory lock that dies with its builder, and renamed when it is
finished: one that has the template's name is whole, one that has the other name and no builder is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgflow_stress.target import connect
from pgflow_stress.target.base import Say
from pgflow_stress.target.databases import drop_database
from pgflow_stress.target.install import Recipe, install
from pgflow_stress.target.naming import TEMPLATE_LOCK, building_name, lock_key, template_name

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection


def template_facts(maintenance: Connection, name: str) -> dict[str, Any] | None:
    """What was installed into a finished template, from its comment; None where there is no such template."""
    comment = connect.value(
        maintenance,
        """
        SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database
        WHERE datname = %s AND datistemplate
        """,
        name,
    )
    if comment is None:
        return None
    try:
        facts = json.loads(comment)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None


def ensure_template(
    conninfo: str, what: str, recipe: Recipe, say: Say, *, locale: str = "", only_stand_ins: bool = False
) -> tuple[str, dict[str, Any]]:
    """The template of a recipe, built where it is absent.

    Args:
        conninfo: of the maintenance database.
        locale: clause of CREATE DATABASE; empty for the server's own.
        only_stand_ins: as install() has it.
    Returns:
        its name and what was installed.
    Raises:
        SetUpFault: it can't be built.
    """
    with connect.connected(conninfo, what) as maintenance:
        preloaded = _preloaded_libraries(maintenance)
        role = str(connect.value(maintenance, "SELECT current_user"))  # owns what is in the template and its clones
        key = recipe.key(preloaded, locale, str(only_stand_ins), role)
        name = template_name(key)
        facts = template_facts(maintenance, name)
        if facts is not None:
            return name, facts
        lock = (TEMPLATE_LOCK, lock_key(int(key, 16)))
        maintenance.execute("SELECT pg_advisory_lock(%s, %s)", lock)  # another's build: his template will do
        facts = template_facts(maintenance, name)
        if facts is None:
            say(f"building the template of pgflow {recipe.migrations.label}")
            facts = _build(
                maintenance,
                key,
                locale,
                lambda name: fill_new_database(
                    connect.compose_with(conninfo, dbname=name), "the template", recipe, only_stand_ins
                ),
            )
        return name, facts


def fill_new_database(conninfo: str, what: str, recipe: Recipe, only_stand_ins: bool) -> dict[str, Any]:
    """Install into a new database and leave it as a template is left: the catalogue vacuumed, nothing of pgflow's.

    To vacuum or analyse pgflow's tables while they are empty would tell the planner so. The plans that the functions
    then cache on their first calls scan whole tables, and get slower with every row: 2.5 times at 1,000 tasks. A table
    that was never analysed is taken for ten pages, as after any migration, and its indexes are used.

    pg_stat_statements is added where the server has it loaded, so that probes find its view.

    Raises:
        SetUpFault: a step failed.
    """
    with connect.connected(conninfo, what) as connection:
        facts = install(connection, recipe, what, only_stand_ins)
        if "pg_stat_statements" in _preloaded_libraries(connection):
            connect.run_script(connection, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA public")
        for (table,) in connect.rows(connection, _CATALOGUE):
            connect.run_script(connection, f"VACUUM (FREEZE, ANALYZE) {table}")
    return facts


_CATALOGUE = """
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared ORDER BY 1
"""


def _preloaded_libraries(connection: Connection) -> str:
    """Only of use, and only told, to a superuser: he alone may create their extensions."""
    found = connect.value(
        connection,
        """
        SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'
        AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        """,
    )
    return str(found or "")


def _build(maintenance: Connection, key: str, locale: str, fill: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    building, finished = building_name(key), template_name(key)
    for half_made in (building, finished):
        drop_database(maintenance, half_made)
    connect.run_script(maintenance, f'CREATE DATABASE "{building}" TEMPLATE template0 {locale}')
    try:
        facts = fill(building)
        comment = json.dumps(facts).replace("'", "''")
        connect.run_script(maintenance, f"COMMENT ON DATABASE \"{building}\" IS '{comment}'")
        connect.run_script(maintenance, f'ALTER DATABASE "{building}" WITH ALLOW_CONNECTIONS false IS_TEMPLATE true')
        checkpoint_if_allowed(maintenance)
        connect.run_script(maintenance, f'ALTER DATABASE "{building}" RENAME TO "{finished}"')
    except BaseException:
        drop_database(maintenance, building)
        raise
    return facts


def checkpoint_if_allowed(connection: Connection) -> bool:
    """CHECKPOINT where the role may; whether it was done."""
    import psycopg  # noqa: PLC0415

    try:
        connection.execute("CHECKPOINT")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def clone(maintenance: Connection, template: str, name: str, strategy: str, what: str) -> None:
    """A database of its own from a template.

    Raises:
        SetUpFault: it can't be made.
    """
    with connect.told(f"{what}: the database {name} could not be made"):
        connect.run_script(maintenance, f'CREATE DATABASE "{name}" TEMPLATE "{template}" {strategy}')
