"""The names by which a database, a template, a lock or a mark is recognised as ours."""

from __future__ import annotations

import re
import secrets

CONTROL_APPLICATION_NAME = "pgflow-stress: coordinator"

# Two-key advisory locks: the first key says what is held, the second who holds it. Both are ours by these numbers only.
LEASE_LOCK = 0x70675F6C  # "pg_l": a tool's databases, by lease id
PREFIX_LOCK = 0x70675F70  # "pg_p": a repetition's rows in a given database, by nonce
PROBE_LOCK = 0x70675F77  # "pg_w": taken by one way to a database and looked for by another
TEMPLATE_LOCK = 0x70675F74  # "pg_t": the building of a template, by its key
HOSTS_LOCK = 0x70675F68  # "pg_h": a host's window, shared by the hosts that load one database, by repetition

MARK_SCHEMA = "pgflow_stress"
MARK_COMMENT = "pgflow-stress: this database may be used and filled by the stress tester"

_DATABASE = re.compile(r"pgflow_stress_([fs][0-9a-f]{8})_([0-9a-f]{16})\Z")
_TEMPLATE = re.compile(r"pgflow_stress_(template|building)_[0-9a-f]{12}\Z")
_SLUG = re.compile(r"ps([0-9a-f]{16})_")
OBJECT_PREFIX = "pgflow_stress"  # of databases, slots and publications


# How it is known that a database's owner lives: by his locked file (embedded server), or by an advisory lock that a
# session of his holds (given server). Told apart by the lease's first letter, so that neither sweeps the other's.
FILE_LEASE, SESSION_LEASE = "f", "s"


def new_lease_id(kind: str) -> str:
    """The kind's letter and eight hex digits."""
    return kind + secrets.token_hex(4)


def lease_lock_key(lease_id: str) -> int:
    """The second key of a session lease's advisory lock."""
    return lock_key(int(lease_id[1:], 16))


def database_name(lease_id: str, nonce: int) -> str:
    """The database of one repetition."""
    return f"pgflow_stress_{lease_id}_{nonce:016x}"


def lease_of_database(name: str) -> str | None:
    """The lease id in a repetition's database name; None for any other database."""
    found = _DATABASE.match(name)
    return found.group(1) if found else None


def template_name(key: str) -> str:
    """A finished template; `key` is 12 hex digits."""
    return f"pgflow_stress_template_{key}"


def building_name(key: str) -> str:
    """The same template while it is being built: whoever finds one without its builder's lock may drop it."""
    return f"pgflow_stress_building_{key}"


def is_template_of_ours(name: str) -> bool:
    """Whether a database is a template of ours, finished or not."""
    return _TEMPLATE.match(name) is not None


def nonce_of_slug(slug: str) -> int | None:
    """The repetition's nonce in a flow slug of ours; None for any other slug."""
    found = _SLUG.match(slug)
    return int(found.group(1), 16) if found else None


def lock_key(value: int) -> int:
    """A signed 32-bit key of an advisory lock from the low bits of a value."""
    low = value & 0xFFFFFFFF
    return low - (1 << 32) if low >= 1 << 31 else low
