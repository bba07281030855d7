"""What the engine knows of a target: a prepared database a repetition, its fingerprint, its clean-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Isolation(StrEnum):
    """How one repetition's database is kept apart from everything else."""

    CLONE = "clone"  # a fresh database from a template
    FRESH = "fresh"  # a new database, pgflow installed into it
    PREFIX = "prefix"  # unique slugs in the given database, only its own rows touched


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What was asked for, before anything is connected to."""

    dsn: str | None = None
    dsn_typed: bool = False  # on the command line; else it came from a file or the environment
    isolation: Isolation | None = None
    yes_on: tuple[str, ...] = ()
    allow_remote: bool = False
    pgflow: str = "0.8.1"  # npm version, or a directory of migrations
    pg_settings: tuple[tuple[str, str], ...] = ()
    realtime_send: str = "supabase"
    purpose: str = "compare"
    events: str = "none"  # none, notify, wal or realtime: how realtime.messages will be observed
    aged: bool = False  # whether a history was asked for
    analyzed: bool = False  # whether statistics for the planner were asked for
    deployed: str | None = None  # a flow of the given database that is driven where it is, under its own slug
    profiled: bool = False  # whether the embedded server is to have what `profile` sees by
    interference: tuple[str, ...] = ()  # kinds that it must be able to bear
    connections: int = 0  # that it must have free for all of that; 0: no more than any run takes
    days_ahead: int = 1  # for which realtime.messages gets partitions, after today
    direct_dsn: str | None = field(default=None, repr=False)  # the way past a pooler, for what can't go through it
    pooler_admin_dsn: str | None = field(default=None, repr=False)  # of PgBouncer's console
    # What is checked of a pooler: targets that differ in nothing else are one.
    sessions: int = field(default=0, compare=False)  # that workers and starters hold at once; 0 where nobody will
    names_backends: tuple[str, ...] = field(default=(), compare=False)  # options about the workers' own backends


class PoolMode(StrEnum):
    """For how long a pooler lends a server's connection to a client."""

    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Pooler:
    """What stands between the workers and the server, as it behaved and, where it has a console, as it says."""

    mode: PoolMode
    prepares: bool  # whether statements that are prepared by name can be executed through it
    product: str = "unnamed"  # "PgBouncer 1.18.0"
    transport: str = ""  # to it: socket or tcp
    pool_size: int | None = None  # of the given database, as its console tells
    prepared_statements: int | None = None  # that it keeps for a client, as its console tells
    direct: bool = False  # whether what can't go through it goes past it

    @property
    def facts(self) -> dict[str, Any]:
        """For the fingerprint."""
        return {
            "product": self.product,
            "mode": str(self.mode),
            "statements": "prepared" if self.prepares else "unnamed",
            "transport": self.transport,
            "pool_size": self.pool_size,
            "max_prepared_statements": self.prepared_statements,
            "direct": self.direct,
        }


@dataclass(frozen=True, slots=True)
class Database:
    """One repetition's database, ready to be driven."""

    conninfo: str  # complete libpq keyword/value string, dbname included; no application_name
    name: str
    isolation: Isolation
    slug_prefix: str  # every flow slug of this repetition starts with it
    pooled_conninfo: str = ""  # the same database through a pooler; empty where there is none
    pooler: Pooler | None = None  # that workers and starters go through

    @property
    def for_workers(self) -> str:
        """How those reach it who are measured."""
        return self.pooled_conninfo or self.conninfo


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What a clean-up left behind: empty when it is verified clean."""

    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The target's part of the result's environment: JSON values only, no password, no path of a home."""

    postgres: dict[str, Any] = field(default_factory=dict)
    pgflow: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restarted:
    """A server that was stopped and started again: its postmasters, and whether it had to recover from a crash."""

    before: int
    after: int
    recovered: bool


class Restart(Protocol):
    """Stops the server and starts it again; `gone` is called in between."""

    def __call__(self, *, immediate: bool, gone: Callable[[], None]) -> Restarted:
        """In order, or as by a crash.

        Raises:
            SetUpFault: it was not to be stopped, as others use it, or did not start again.
        """


class Target(Protocol):
    """A prepared target. Opened by target.opening.open_target, a context manager that closes it."""

    isolation: Isolation
    embedded: bool
    can_age: bool  # whether it makes databases, which can be made from an aged one
    restart: Restart | None  # where the server is ours

    def acquire(self, nonce: int) -> Database:
        """A database for one repetition; nothing of it is timed.

        Raises:
            SetUpFault: it could not be made; the message says what to do.
        """

    def release(self, database: Database) -> CleanUp:
        """Remove what the repetition left, end its backends, and verify."""

    def aged(self, nonce: int, fill: Callable[[Database], None], /) -> AbstractContextManager[None]:
        """What `acquire` gives in the block is cloned from a database that `fill` has filled, and has left.

        Raises:
            SetUpFault: it could not be made, or what `fill` raises.
            UsageFault: the target makes no databases.
        """

    def fingerprint(self) -> Fingerprint:
        """What was measured on."""

    def not_taken(self, settings: Iterable[tuple[str, str]]) -> list[str]:
        """A line for each (setting, value) that the server does not have.

        Raises:
            SetUpFault: the server can't be reached.
        """


Say = Callable[[str], None]  # one line of progress, to standard error
