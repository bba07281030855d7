"""An aged database: filled once, by whoever knows how, and then what every repetition's database is cloned from."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, LiteralString

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target import connect
from pgflow_stress.target.base import CleanUp, Database

if TYPE_CHECKING:
    from pgflow_stress.target.connect import Connection

# What autovacuum leaves of tables that were filled. Those of a template are never analysed (docs/decisions/0001): the
# planner would believe in empty ones, and these are not.
AFTER_HISTORY = "VACUUM (ANALYZE) of the tables of pgflow, pgmq and realtime"

_TABLES: LiteralString = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('pgflow', 'pgmq', 'realtime') AND c.relkind = 'r' ORDER BY 1
"""


class Aging(ABC):
    """A target whose databases can be cloned from one that was filled before."""

    _aged = ""  # the name of that one, while there is one

    @abstractmethod
    def acquire(self, nonce: int) -> Database:
        """Make a database."""

    @abstractmethod
    def release(self, database: Database) -> CleanUp:
        """Remove it."""

    @contextlib.contextmanager
    def aged(self, nonce: int, fill: Callable[[Database], None]) -> Iterator[None]:
        """What `acquire` gives in the block is cloned from a database that `fill` filled, nobody connected to it.

        Raises:
            SetUpFault: it could not be made, or what `fill` raises.
        """
        database = self.acquire(nonce)
        try:
            # Not measured: past a pooler, whose idle connections to it would be in the way of cloning it.
            fill(replace(database, pooled_conninfo="", pooler=None))
            with connect.connected(database.conninfo, "the aged database") as connection:
                _look_after(connection)
            self._aged = database.name
            yield
        finally:
            self._aged = ""
            with contextlib.suppress(SetUpFault):  # the server is gone: the next start cleans up
                self.release(database)


def _look_after(connection: Connection) -> None:
    for (table,) in connect.rows(connection, _TABLES):
        connect.run_script(connection, f"VACUUM (ANALYZE) {table}")
