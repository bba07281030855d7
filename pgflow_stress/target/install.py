"""pgmq, what pgflow stands on, and pgflow itself, put into one database by its own migrations."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import connect, realtime
from pgflow_stress.target.capabilities import OLDEST, capability_facts, why_unsupported
from pgflow_stress.target.migrations import Migrations

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

# What later pgflow versions want of Supabase: the names are there, no request is sent and no job runs.
STANDINS = ("pg_net", "pg_cron", "supabase_vault")
_STANDIN_VERSION = "0.1"
_CREATE_EXTENSION = re.compile(r'^[ \t]*create\s+extension\s+(?:if\s+not\s+exists\s+)?"?(\w+)"?[^;]*;', re.I | re.M)
_LOWEST_PGMQ = (1, 5)
RECIPE = 3  # changed by hand when what is installed changes otherwise than by the texts below


@dataclass(frozen=True, slots=True)
class Pgmq:
    """pgmq's SQL, as PyPI's package pgmq carries it."""

    version: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the SQL."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a freshly installed database holds."""

    migrations: Migrations
    pgmq: Pgmq
    realtime_send: str

    @property
    def send_sql(self) -> str:
        """The definition of realtime.send."""
        return realtime.send_sql(self.realtime_send)

    def key(self, *more: str) -> str:
        """12 hex digits: equal for equal contents, whatever the names."""
        parts = (
            str(RECIPE),
            self.migrations.sha256,
            self.migrations.label,
            self.pgmq.sha256,
            self.send_sql,
            realtime.schema_sql(),
            *(realtime.sql_text(f"standins/{name}") for name in STANDINS),
            *more,
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def packaged_pgmq() -> Pgmq:
    """pgmq's SQL from the installed package.

    Raises:
        SetUpFault: it is absent, or of another version than pinned.
    """
    from pgflow_stress.target.assets import pgmq_sql  # noqa: PLC0415

    version, path = pgmq_sql()
    return Pgmq(version, path.read_text(encoding="utf-8"))


def extension_files(pgmq: Pgmq) -> dict[str, str]:
    """File name → text of a folder `extension` for extension_control_path, so that migrations run unedited."""
    files = {
        "pgmq.control": _control("A lightweight message queue", pgmq.version, "schema = 'pgmq'\n"),
        f"pgmq--{pgmq.version}.sql": pgmq.text,
    }
    for name in STANDINS:
        files[f"{name}.control"] = _control(f"stand-in for {name}", _STANDIN_VERSION, "")
        files[f"{name}--{_STANDIN_VERSION}.sql"] = realtime.sql_text(f"standins/{name}")
    return files


def write_extension_files(folder: Path, pgmq: Pgmq) -> None:
    """Put them into `folder/extension`, each by a rename: a server may be reading.

    Raises:
        OSError: they can't be written.
    """
    inside = folder / "extension"
    inside.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, text in extension_files(pgmq).items():
        path = inside / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            building = inside / f".{name}.new"
            building.write_text(text, encoding="utf-8")
            building.chmod(0o644)
            building.rename(path)


def install(connection: Connection, recipe: Recipe, what: str, only_stand_ins: bool = False) -> dict[str, Any]:
    """Install into the connected database, in one transaction: all of it or nothing.

    An extension that the server doesn't offer is replaced by its SQL (pgmq) or a stand-in, its CREATE EXTENSION left
    out of the migrations. A realtime schema that is already there is left as it is.

    Args:
        what: names the database in a message.
        only_stand_ins: never use the server's own pg_net, pg_cron or vault: for a database that is thrown away, where
            no job should run and no request be sent.
    Returns:
        the facts that the fingerprint tells, also kept in the mark.
    Raises:
        SetUpFault: a step failed; names it and quotes the server.
    """
    offered = _offered_extensions(connection)
    missing = {name for name in ("pgmq", *STANDINS) if name not in offered}
    if only_stand_ins:
        missing |= set(STANDINS)
    _refuse_old_pgmq(offered.get("pgmq"), what)
    with connection.transaction():
        _step(connection, realtime.sql_text("mark"), what, "the mark")
        send = _install_realtime(connection, recipe, what)
        standins = _install_standins(connection, recipe.migrations, missing, what)
        if "pgmq" in missing:
            _step(connection, recipe.pgmq.text, what, "pgmq's SQL")
        for name, text in recipe.migrations.files:
            _step(connection, without_extensions(text, missing), what, f"migration {name}")
        if unsupported := why_unsupported(connection):
            raise SetUpFault(
                f"pgflow {recipe.migrations.label} is not supported: {unsupported}; {OLDEST}: give a later --pgflow"
            )
        facts = {
            **pgflow_facts(recipe.migrations),
            "pgmq": {
                "version": recipe.pgmq.version if "pgmq" in missing else offered["pgmq"],
                "installed_as": "sql" if "pgmq" in missing else "extension",
            },
            "realtime_send": send,
            "stand_ins": standins,
            "schema_sha256": schema_sha256(connection),
            **capability_facts(connection),
        }
        connection.execute("INSERT INTO pgflow_stress.installation (facts) VALUES (%s::jsonb)", (json.dumps(facts),))
    return facts


def _offered_extensions(connection: Connection) -> dict[str, str]:
    """Name → version of the extensions that are there or that this role may create."""
    found = connect.rows(
        connection,
        """
        SELECT e.name, v.version FROM pg_available_extensions e
        JOIN pg_available_extension_versions v ON v.name = e.name
         AND v.version = coalesce(e.installed_version, e.default_version)
        WHERE v.installed OR NOT v.superuser OR v.trusted
           OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        """,
    )
    return {str(name): str(version) for name, version in found}


def pgflow_facts(migrations: Migrations) -> dict[str, Any]:
    """The fingerprint's words for a set of migrations."""
    return {"version": migrations.version, "label": migrations.label, "migrations_sha256": migrations.sha256}


def without_extensions(text: str, missing: set[str]) -> str:
    """A migration without the CREATE EXTENSION of what the server doesn't offer."""
    return _CREATE_EXTENSION.sub(lambda found: "" if found[1].lower() in missing else found[0], text)


def schema_sha256(connection: Connection) -> str:
    """Of pgflow's functions: names, arguments, settings, bodies. Tells versions and edits apart."""
    functions = connect.rows(
        connection,
        """
        SELECT p.proname, pg_get_function_identity_arguments(p.oid), coalesce(p.proconfig::text, ''), p.prosrc
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'pgflow'
        """,
    )
    text = "\0".join("\0".join(map(str, function)) for function in sorted(functions))
    return hashlib.sha256(text.encode()).hexdigest()


def send_facts(connection: Connection, mode: str | None) -> dict[str, Any]:
    """How realtime.send is named in the fingerprint: its mode where it is ours, its body's hash in any case."""
    body = connect.value(
        connection,
        """
        SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'realtime' AND p.proname = 'send' ORDER BY p.oid LIMIT 1
        """,
    )
    if body is None:
        return {"mode": "absent", "body_sha256": None}
    return {"mode": mode or _mode_of(body), "body_sha256": realtime.body_sha256(body)}


def _mode_of(body: str) -> str:
    ours = (mode for mode in realtime.SEND_MODES if f"$function${body}$function$" in realtime.send_sql(mode))
    return next(ours, "as found")


def _install_realtime(connection: Connection, recipe: Recipe, what: str) -> dict[str, Any]:
    if connect.value(connection, "SELECT to_regnamespace('realtime') IS NULL"):
        _step(connection, realtime.schema_sql(), what, "schema realtime")
        _step(connection, recipe.send_sql, what, "realtime.send")
        _step(connection, realtime.partitions_sql(), what, "realtime's partitions")
        return send_facts(connection, recipe.realtime_send)
    return send_facts(connection, None)


def _install_standins(connection: Connection, migrations: Migrations, missing: set[str], what: str) -> list[str]:
    """What Supabase has in every database before pgflow's migrations come; only where they speak of it."""
    used = {"pg_net": "pg_net", "pg_cron": "pg_cron", "supabase_vault": "vault"}
    wanted = [name for name in STANDINS if migrations.mentions(used[name])]
    if wanted:
        _step(connection, "CREATE SCHEMA IF NOT EXISTS extensions", what, "schema extensions")
    for name in wanted:
        if name in missing:
            _step(connection, realtime.sql_text(f"standins/{name}"), what, f"the stand-in for {name}")
        elif name == "supabase_vault":
            _step(connection, "CREATE EXTENSION IF NOT EXISTS supabase_vault CASCADE", what, "extension supabase_vault")
    return wanted


def _refuse_old_pgmq(version: str | None, what: str) -> None:
    if version is None:
        return
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _LOWEST_PGMQ:
        raise SetUpFault(f"{what}: its pgmq {version} is too old for pgflow: update the extension to 1.5 or later")


def _step(connection: Connection, text: str, what: str, step: str) -> None:
    with connect.told(f"{what}: installing pgflow failed at {step}"):
        connect.run_script(connection, text)


def _control(comment: str, version: str, more: str) -> str:
    return f"comment = '{comment}'\ndefault_version = '{version}'\nrelocatable = false\nsuperuser = false\n{more}"
