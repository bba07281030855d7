"""The three isolations on a given server: clone and fresh make databases of ours, prefix makes rows of ours."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.core.ids import flow_slug_prefix
from pgflow_stress.target import cleanup, connect, deployed, fingerprint, observing, realtime
from pgflow_stress.target.aging import Aging
from pgflow_stress.target.base import CleanUp, Database, Fingerprint, Isolation, Restart, Say, TargetOptions
from pgflow_stress.target.databases import drop_database, drop_databases_of
from pgflow_stress.target.given import AGES_NOTHING, Reached
from pgflow_stress.target.install import Recipe, packaged_pgmq, pgflow_facts
from pgflow_stress.target.migrations import find_migrations
from pgflow_stress.target.naming import (
    LEASE_LOCK,
    PREFIX_LOCK,
    SESSION_LEASE,
    database_name,
    lease_lock_key,
    lock_key,
    new_lease_id,
)
from pgflow_stress.target.read_back import not_taken
from pgflow_stress.target.template import clone, ensure_template, fill_new_database

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

_STRATEGY_SINCE = 150000
_STRATEGY = "STRATEGY WAL_LOG"


class GivenTarget(ABC):
    """What the three have in common: one control connection, whose advisory locks say that their owner lives."""

    embedded = False
    can_age: bool
    restart: Restart | None = None  # the server is not ours
    isolation: Isolation

    def __init__(self, reached: Reached, options: TargetOptions, say: Say) -> None:
        """Connect; the subclass takes its locks in _lock()."""
        self.libpq = reached.libpq
        self._reached = reached
        self._options = options
        self._say = say
        self._connection: Connection | None = None

    @abstractmethod
    def acquire(self, nonce: int) -> Database:
        """A database for one repetition."""

    @abstractmethod
    def release(self, database: Database) -> CleanUp:
        """Remove what the repetition left, and verify."""

    @abstractmethod
    def aged(self, nonce: int, fill: Callable[[Database], None], /) -> contextlib.AbstractContextManager[None]:
        """Databases from an aged one, for the length of a block."""

    @abstractmethod
    def _lock(self, connection: Connection) -> None:
        """Take the locks that keep others from cleaning up after us."""

    @abstractmethod
    def _pgflow_facts(self) -> dict[str, Any]:
        """The fingerprint's pgflow part."""

    def fingerprint(self) -> Fingerprint:
        """What was measured on."""
        with connect.connected(self._reached.conninfo, self._reached.what) as connection:
            server = fingerprint.server_of(connection)
            settings = fingerprint.settings_of(connection)
        pooler = {} if self._reached.pooler is None else {"pooler": self._reached.pooler.facts}
        return Fingerprint(
            server | {"target": "given", "isolation": str(self.isolation)} | pooler, self._pgflow_facts(), settings
        )

    def not_taken(self, settings: Iterable[tuple[str, str]]) -> list[str]:
        """A line for each (setting, value) that the server does not have."""
        with connect.connected(self._reached.conninfo, self._reached.what) as connection:
            return not_taken(connection, settings)

    @contextlib.contextmanager
    def _control(self) -> Iterator[Connection]:
        """The control connection, made again where the server dropped it; its errors told in one line."""
        connection = self._connection
        if connection is None or connection.closed or not _answers(connection):
            self.close()
            connection = connect.open_connection(self._reached.conninfo, self._reached.what)
            self._connection = connection
            with connect.told(self._reached.what):
                self._lock(connection)
        with connect.told(self._reached.what):
            yield connection

    def _clear(self, control: Connection) -> None:
        """Remove what observers of dead runs left, in any isolation: it holds the server's WAL."""
        _, problems = cleanup.drop_dead_objects(control)
        for problem in problems:
            self._say(f"left by an earlier run in {self._reached.what}: {problem}")

    def _check_events(self, control: Connection) -> None:
        """Refuse what can't be observed; after clearing, since a dead run's slot may be in the way."""
        own = self.isolation is not Isolation.PREFIX
        observing.check_transport(control, self._options.events, self._reached.what, own_database=own)

    def close(self) -> None:
        """Give the locks back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @abstractmethod
    def prepare(self) -> None:
        """Clean up after dead runs and see to what repetitions are made from."""

    @abstractmethod
    def drop_unreleased(self) -> None:
        """Clean up after an interrupt that came between acquire and release."""


class _OwnDatabases(Aging, GivenTarget):
    """Databases of ours on the given server."""

    can_age = True

    def __init__(self, reached: Reached, recipe: Recipe, options: TargetOptions, say: Say) -> None:
        """Name the lease."""
        super().__init__(reached, options, say)
        self._recipe = recipe
        self._lease_id = new_lease_id(SESSION_LEASE)

    def prepare(self) -> None:
        """Take the lease and drop what dead ones left."""
        with self._control() as control:
            _, problems = cleanup.drop_dead_databases(control)
            for problem in problems:
                self._say(f"left by an earlier run: {problem}")
            self._clear(control)
            self._check_events(control)

    def acquire(self, nonce: int) -> Database:
        """Make the database.

        Raises:
            SetUpFault: it could not be made.
        """
        name = database_name(self._lease_id, nonce)
        conninfo = self._conninfo(name)
        with self._control() as control:
            try:
                self._make(control, name)
                with connect.connected(conninfo, self._reached.what) as connection:
                    connect.run_script(connection, realtime.partitions_sql(self._options.days_ahead))
            except BaseException:
                drop_database(control, name)
                raise
        pooled = self._reached.pooled_conninfo and connect.compose_with(self._reached.pooled_conninfo, dbname=name)
        return Database(conninfo, name, self.isolation, flow_slug_prefix(nonce), pooled, self._reached.pooler)

    def release(self, database: Database) -> CleanUp:
        """End its backends and drop it."""
        with self._control() as control:
            return CleanUp(tuple(drop_database(control, database.name)))

    def drop_unreleased(self) -> None:
        """Drop this lease's databases, and what was left meanwhile by others that were killed."""
        with self._control() as control:
            drop_databases_of(control, lambda lease_id: lease_id == self._lease_id)
            cleanup.drop_dead_databases(control)

    def _lock(self, connection: Connection) -> None:
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (LEASE_LOCK, lease_lock_key(self._lease_id)))

    def _conninfo(self, name: str) -> str:
        return connect.compose_with(self._reached.conninfo, dbname=name)

    def _clone(self, control: Connection, source: str, name: str) -> None:
        strategy = _STRATEGY if self._reached.server_version_num >= _STRATEGY_SINCE else ""
        clone(control, source, name, strategy, self._reached.what)

    @abstractmethod
    def _make(self, control: Connection, name: str) -> None: ...


class CloneTarget(_OwnDatabases):
    """A clone of a template that stays on the given server for the next call; `db clean` drops it."""

    isolation = Isolation.CLONE
    _template = ""
    _facts: dict[str, Any] | None = None

    def prepare(self) -> None:
        """See to the template too."""
        super().prepare()
        self._template, self._facts = ensure_template(
            self._reached.conninfo, self._reached.what, self._recipe, self._say, only_stand_ins=True
        )

    def _make(self, control: Connection, name: str) -> None:
        self._clone(control, self._aged or self._template, name)

    def _pgflow_facts(self) -> dict[str, Any]:
        return dict(self._facts or {})


class FreshTarget(_OwnDatabases):
    """A new database for each repetition, pgflow installed into it."""

    isolation = Isolation.FRESH
    _facts: dict[str, Any] | None = None

    def _make(self, control: Connection, name: str) -> None:
        if self._aged:
            self._clone(control, self._aged, name)
            return
        connect.run_script(control, f'CREATE DATABASE "{name}" TEMPLATE template0')
        self._facts = fill_new_database(
            self._conninfo(name), f"the new database {name}", self._recipe, only_stand_ins=True
        )

    def _pgflow_facts(self) -> dict[str, Any]:
        return dict(self._facts or pgflow_facts(self._recipe.migrations))


class PrefixTarget(GivenTarget):
    """Rows of ours in the given database, known by the flow slugs' prefix; nothing else in it is changed."""

    isolation = Isolation.PREFIX
    can_age = False  # the given database is as old as it is

    def __init__(self, reached: Reached, options: TargetOptions, say: Say) -> None:
        """Nothing reserved yet."""
        super().__init__(reached, options, say)
        self._nonces: set[int] = set()

    def prepare(self) -> None:
        """Remove what dead runs left, and tell where events would be lost."""
        what = self._reached.what
        with self._control() as control:
            for nonce in cleanup.dead_nonces(control):
                for left in cleanup.clean_prefix(control, nonce):
                    self._say(f"left by an earlier run in {what}: {left}")
            self._clear(control)
            self._check_events(control)
            if self._options.deployed is not None:
                deployed.check_privileges(control, self._options.deployed, what)
                deployed.check_idle(control, self._options.deployed, what)
        if self._reached.found.events and not self._may_partition:
            self._say(f"{what}: {self._reached.found.events}: its events will be missing")

    @property
    def _may_partition(self) -> bool:
        """In a database of ours, with the realtime that we installed: its partitions are ours to make."""
        found = self._reached.found
        return found.marked and found.facts.get("realtime_send", {}).get("mode") in realtime.SEND_MODES

    def acquire(self, nonce: int) -> Database:
        """Reserve the prefix; the database itself stays as it is, but for partitions where they are ours to make."""
        with self._control() as control:
            control.execute("SELECT pg_advisory_lock(%s, %s)", (PREFIX_LOCK, lock_key(nonce)))
            self._nonces.add(nonce)
            if self._options.deployed is not None:
                deployed.check_idle(control, self._options.deployed, self._reached.what)
            if self._may_partition:
                connect.run_script(control, realtime.partitions_sql(self._options.days_ahead))
        reached = self._reached
        return Database(
            reached.conninfo,
            reached.found.database,
            self.isolation,
            flow_slug_prefix(nonce),
            reached.pooled_conninfo,
            reached.pooler,
        )

    def release(self, database: Database) -> CleanUp:
        """Remove every row of the prefix, and verify."""
        nonce = int(database.slug_prefix[2:18], 16)
        with self._control() as control:
            left = cleanup.clean_prefix(control, nonce)
            self._nonces.discard(nonce)
            control.execute("SELECT pg_advisory_unlock(%s, %s)", (PREFIX_LOCK, lock_key(nonce)))
        return CleanUp(tuple(left))

    def aged(self, _nonce: int, _fill: Callable[[Database], None]) -> contextlib.AbstractContextManager[None]:
        """Never: it is refused before anything is opened."""
        raise UsageFault(AGES_NOTHING)

    def drop_unreleased(self) -> None:
        """Clean up the prefixes that were not released."""
        with self._control() as control:
            for nonce in sorted(self._nonces):
                cleanup.clean_prefix(control, nonce)

    def _lock(self, connection: Connection) -> None:
        for nonce in sorted(self._nonces):
            connection.execute("SELECT pg_advisory_lock(%s, %s)", (PREFIX_LOCK, lock_key(nonce)))

    def _pgflow_facts(self) -> dict[str, Any]:
        found = self._reached.found
        lost = {"events_not_stored": found.events} if found.events and not self._may_partition else {}
        return dict(found.facts) | lost


@contextlib.contextmanager
def open_isolated(isolation: Isolation, reached: Reached, options: TargetOptions, say: Say) -> Iterator[GivenTarget]:
    """The given target in one isolation; what was not released is cleaned up at the end of the block.

    Raises:
        SetUpFault: it can't be had.
    """
    target = _make_target(isolation, reached, options, say)
    try:
        target.prepare()
        yield target
    finally:
        with contextlib.suppress(SetUpFault):  # the server is gone: the next start cleans up
            target.drop_unreleased()
        target.close()


def _make_target(isolation: Isolation, reached: Reached, options: TargetOptions, say: Say) -> GivenTarget:
    if isolation is Isolation.PREFIX:
        return PrefixTarget(reached, options, say)
    recipe = Recipe(find_migrations(options.pgflow, say), packaged_pgmq(), options.realtime_send)
    kind = CloneTarget if isolation is Isolation.CLONE else FreshTarget
    return kind(reached, recipe, options, say)


def _answers(connection: Connection) -> bool:
    import psycopg  # noqa: PLC0415

    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
