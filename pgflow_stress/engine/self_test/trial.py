"""One mutant on trial: planted, run or audited by what `run` audits with, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pgflow_stress.core.result import Check, Json
from pgflow_stress.engine.conclusion import Grounds, look
from pgflow_stress.engine.measurement import Measured
from pgflow_stress.engine.self_test.base import Mutant, planting
from pgflow_stress.target import connect
from pgflow_stress.target.base import CleanUp, Database, Fingerprint, Target

_MOST_IDS = 10  # of a check, told
_PATIENCE = "10s"  # of one statement that damages or audits: the job is small


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one mutant."""

    mutant: Mutant
    failed: tuple[Check, ...]  # every check that did not hold
    seconds: float
    trouble: str = ""  # why there was nothing to see

    @property
    def catch(self) -> Check | None:
        """The check that it was to be caught by, where it did."""
        return next((check for check in self.failed if check.name == self.mutant.caught_by), None)

    def as_json(self) -> Json:
        """As the document has it."""
        catch, mutant = self.catch, self.mutant
        return {
            "name": mutant.name,
            "what": mutant.what,
            "planted_into": str(mutant.where),
            "check": mutant.caught_by,
            "caught": catch is not None,
            "found": catch.found if catch else 0,
            "ids": list(catch.ids[:_MOST_IDS]) if catch else [],
            "also": [check.name for check in self.failed if check.name != mutant.caught_by],
            "seconds": round(self.seconds, 3),
            **({"trouble": self.trouble} if self.trouble else {}),
        }


class Planted:
    """A target of whose every database a defect is a part."""

    def __init__(self, target: Target, mutant: Mutant) -> None:
        """Nothing is made yet."""
        self._target = target
        self._mutant = mutant
        self.isolation = target.isolation
        self.embedded = target.embedded
        self.can_age = target.can_age
        self.restart = target.restart

    def acquire(self, nonce: int) -> Database:
        """A database of the target, with the defect in it.

        Raises:
            SetUpFault: it could not be made, or not be planted.
        """
        database = self._target.acquire(nonce)
        try:
            with connect.connected(database.conninfo, f"planting {self._mutant.name!r}") as connection:
                connection.execute(planting(self._mutant, nonce))
        except BaseException:
            self._target.release(database)
            raise
        return database

    def release(self, database: Database) -> CleanUp:
        """Remove it."""
        return self._target.release(database)

    def aged(self, nonce: int, fill: Callable[[Database], None], /) -> AbstractContextManager[None]:
        """Of the target: what ages a database is done by a pgflow without the defect."""
        return self._target.aged(nonce, fill)

    def fingerprint(self) -> Fingerprint:
        """Of the target."""
        return self._target.fingerprint()

    def not_taken(self, settings: Iterable[tuple[str, str]]) -> list[str]:
        """Of the target."""
        return self._target.not_taken(settings)


def failed_checks(measured: Measured) -> tuple[Check, ...]:
    """The checks of a repetition that did not hold."""
    if measured.repetition is None:
        return ()
    return tuple(check for check in measured.repetition.audit.checks if not check.ok)


class Damaged:
    """A finished job's database, in which mutants of rows are tried one after another."""

    def __init__(self, database: Database, held: Grounds) -> None:
        """Connect.

        Raises:
            SetUpFault: it cannot be reached.
        """
        self._held = held
        self._connection = connect.open_connection(database.conninfo, "the finished job")

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def has(self, table: str, column: str) -> bool:
        """Whether pgflow has such a column."""
        return bool(
            connect.value(
                self._connection,
                "SELECT 1 FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
                f"pgflow.{table}",
                column,
            )
        )

    def look(self, mutant: Mutant | None) -> tuple[Check, ...]:
        """The checks that do not hold with this damage, or without any; it is rolled back.

        Raises:
            SetUpFault: it could not be done.
        """
        name = "the audit" if mutant is None else f"planting {mutant.name!r}"
        with connect.told(name), self._connection.transaction(force_rollback=True):
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._connection.execute("SELECT set_config('statement_timeout', %s, true)", (_PATIENCE,))
            if mutant is not None:
                self._connection.execute(planting(mutant, self._held.audit.nonce))
            found, _ = look(self._connection, self._held)
            return tuple(check for check in found.audit.checks if not check.ok)
