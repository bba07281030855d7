"""What a database has of pgflow: which version, which pgmq, whether events can be stored today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import connect
from pgflow_stress.target.capabilities import OLDEST, capability_facts, why_unsupported
from pgflow_stress.target.install import schema_sha256, send_facts
from pgflow_stress.target.naming import MARK_COMMENT, MARK_SCHEMA

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

# Of schema_sha256(), by which a pgflow that we didn't install is known.
KNOWN_SCHEMAS = {"a8f8779aee559c2df4cfc892be714d820632fd44070c33ad62064c96fab24950": "0.8.1"}

# Somebody else's schema of that name need not have our table.
_MAY_READ_MARK: LiteralString = """
    SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace
    WHERE nspname = %s AND obj_description(oid, 'pg_namespace') = %s
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A database as it is."""

    database: str
    marked: bool  # by `db install`, or made by us
    has_pgflow: bool
    unsupported: str  # why its pgflow can't be driven; empty where it can
    events: str  # why events are not stored; empty where they are
    facts: dict[str, Any]  # for the fingerprint; empty without pgflow

    @property
    def version(self) -> str | None:
        """pgflow's version where it is known."""
        version = self.facts.get("version")
        return str(version) if version else None


def inspect(connection: Connection) -> Found:
    """Look at the connected database; changes nothing."""
    database, comment, has_pgflow = connect.rows(
        connection,
        """
        SELECT current_database(),
               (SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s),
               EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname = 'pgflow' AND c.relname = 'flows')
        """,
        MARK_SCHEMA,
    )[0]
    marked = comment == MARK_COMMENT
    if not has_pgflow:
        return Found(database, marked, False, "", "", {})
    return Found(database, marked, True, why_unsupported(connection), _why_no_events(connection), _facts(connection))


def require_pgflow(found: Found, what: str) -> None:
    """Refuse a database without a pgflow that the tool can drive.

    Raises:
        SetUpFault: says what to do.
    """
    if not found.has_pgflow:
        raise SetUpFault(
            f"{what} has no pgflow: install it there with `pgflow-stress db install --dsn …`, "
            "or add --isolation fresh for a new database on that server"
        )
    if found.unsupported:
        raise SetUpFault(
            f"{what}: its pgflow is not supported: {found.unsupported}; {OLDEST}: update it (npx pgflow@latest "
            "install, then run its migrations), or add --isolation fresh for a new database on that server"
        )


def _why_no_events(connection: Connection) -> str:
    """realtime.send only warns where it can't store, and the run goes on without events."""
    kind = connect.value(
        connection,
        """
        SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'realtime' AND c.relname = 'messages'
        """,
    )
    if kind is None:
        return "there is no realtime.messages"
    if kind != "p":
        return ""
    bounds = connect.rows(
        connection,
        """
        SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                             WHERE n.nspname = 'realtime' AND c.relname = 'messages')
        """,
    )
    now, tomorrow = connect.rows(connection, "SELECT localtimestamp, localtimestamp + interval '1 day'")[0]
    if not any(_covers(str(bound), now.isoformat(" ")) for (bound,) in bounds):
        return "realtime.messages has no partition for today"
    if not any(_covers(str(bound), tomorrow.isoformat(" ")) for (bound,) in bounds):
        return "realtime.messages has no partition for tomorrow: events after midnight are lost"
    return ""


def _covers(bound: str, moment: str) -> bool:
    """Whether `FOR VALUES FROM ('…') TO ('…')` holds a moment; ISO texts compare as the moments do."""
    if bound == "DEFAULT":
        return True
    parts = bound.split("'")
    return len(parts) == 5 and parts[1] <= moment < parts[3]


def _facts(connection: Connection) -> dict[str, Any]:
    sha256 = schema_sha256(connection)
    pgmq = connect.value(connection, "SELECT extversion FROM pg_extension WHERE extname = 'pgmq'")
    recorded = None
    if connect.value(connection, _MAY_READ_MARK, MARK_SCHEMA, MARK_COMMENT):
        recorded = connect.value(
            connection, "SELECT facts FROM pgflow_stress.installation ORDER BY installed_at DESC LIMIT 1"
        )
    facts: dict[str, Any] = (
        recorded
        if isinstance(recorded, dict) and recorded.get("schema_sha256") == sha256
        else {
            "version": KNOWN_SCHEMAS.get(sha256),
            "label": KNOWN_SCHEMAS.get(sha256, "unknown version"),
            "migrations_sha256": None,
            "pgmq": {"version": pgmq, "installed_as": "extension" if pgmq else "sql"},
        }
    )
    seen = {key: value for key, value in facts.items() if key not in ("capabilities", "unknown")}
    return (
        seen | {"realtime_send": send_facts(connection, None), "schema_sha256": sha256} | capability_facts(connection)
    )
