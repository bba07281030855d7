"""Connections of the coordinator: psycopg imported on first use, its errors told in one line without a password."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, LiteralString

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.redact import redact
from pgflow_stress.target.naming import CONTROL_APPLICATION_NAME

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_SECONDS = 10
_UNKNOWN_PARAMETER = re.compile(r'invalid (?:URI query parameter|connection option):? "(.*)"')
_ALIKE = 0.7  # difflib's ratio


def parse(conninfo: str, origin: str) -> dict[str, str]:
    """A connection string's keywords and values.

    Raises:
        SetUpFault: libpq can't read it; the message never repeats the string, which may hold a password.
    """
    import psycopg  # noqa: PLC0415  libpq is chosen first
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        return {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    except psycopg.Error as error:
        raise SetUpFault(f"{origin} is no connection string that libpq can read{_hint(first_line(error))}") from None
    except UnicodeEncodeError:
        raise SetUpFault(f"{origin} is no connection string that libpq can read: it is not UTF-8") from None


def _hint(reason: str) -> str:
    """What may be said of libpq's reason: a parameter that there is, not what stands there, which may be a secret."""
    import difflib  # noqa: PLC0415

    from psycopg.pq import Conninfo  # noqa: PLC0415

    found = _UNKNOWN_PARAMETER.match(reason)
    if found is None:
        return ""
    known = [option.keyword.decode() for option in Conninfo.get_defaults()]
    close = difflib.get_close_matches(found[1], known, 1, _ALIKE)
    return ": it has a parameter that there is none of" + (f", did you mean {close[0]}?" if close else "")


def compose(**parameters: str) -> str:
    """A keyword/value string of these parameters."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    return make_conninfo("", **parameters)


def compose_with(conninfo: str, **overrides: str) -> str:
    """A connection string with some of its parameters replaced."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    return make_conninfo(conninfo, **overrides)


@contextlib.contextmanager
def connected(conninfo: str, what: str, **overrides: str) -> Iterator[Connection]:
    """A connection in autocommit for the length of the block.

    Args:
        what: names the target in a message.
    Raises:
        SetUpFault: it can't be had, or a statement in the block failed.
    """
    connection = open_connection(conninfo, what, **overrides)
    try:
        with told(what):
            yield connection
    finally:
        connection.close()


def open_connection(conninfo: str, what: str, **overrides: str) -> Connection:
    """A connection in autocommit that the caller closes.

    Raises:
        SetUpFault: it can't be had.
    """
    import psycopg  # noqa: PLC0415
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    ours = {"application_name": CONTROL_APPLICATION_NAME, "connect_timeout": str(CONNECT_TIMEOUT_SECONDS)}
    try:
        complete = make_conninfo(conninfo, **(ours | overrides))
        # Without prepared statements a pooler in transaction mode does too.
        return psycopg.connect(complete, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise SetUpFault(f"cannot connect to {what}: {redact(first_line(error))}") from None


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Turn a database error in the block into one line.

    Raises:
        SetUpFault: what the server said.
    """
    import psycopg  # noqa: PLC0415

    try:
        yield
    except psycopg.Error as error:
        raise SetUpFault(f"{what}: {redact(first_line(error))}") from error


def run_script(connection: Connection, text: str) -> None:
    """Run SQL of several statements, unedited."""
    connection.execute(text.encode())


def rows(connection: Connection, query: LiteralString, *parameters: object, **named: object) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return connection.execute(query, named or parameters or None).fetchall()


def value(connection: Connection, query: LiteralString, *parameters: object) -> Any:
    """The first column of the first row; None for no row."""
    found = connection.execute(query, parameters or None).fetchone()
    return None if found is None else found[0]


def first_line(error: BaseException) -> str:
    """The most telling line of an error of psycopg's, its severity and file positions left out."""
    diag = getattr(error, "diag", None)
    if diag is not None and diag.message_primary:
        hint = f" ({diag.message_hint})" if diag.message_hint else ""
        return f"{diag.message_primary}{hint}"
    lines = [line.strip().removeprefix("connection failed: ") for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
