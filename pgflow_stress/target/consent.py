"""Whether a given database may be used at all: who named it, and where it lives."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target.choice import Choice
from pgflow_stress.target.fingerprint import is_loopback
from pgflow_stress.target.naming import is_template_of_ours, lease_of_database

_AUTHORITY = re.compile(r"postgres(?:ql)?://(?P<rest>.*)\Z", re.S)


def check_readable(choice: Choice) -> None:
    """Refuse a URI whose password isn't percent-encoded: libpq would take a part of it for a host and show it.

    Raises:
        SetUpFault: it is one.
    """
    found = _AUTHORITY.match(choice.conninfo)
    if found is None:
        return
    rest = found["rest"].partition("?")[0]
    authority = rest.partition("/")[0]
    if rest.count("@") > 1 or ("@" in rest and "@" not in authority):
        raise SetUpFault(
            f"{choice.origin}: special characters in the password must be percent-encoded (@ is %40, / is %2F)"
        )


def check_host(parameters: Mapping[str, str], environment: Mapping[str, str], allow_remote: bool) -> None:
    """A host that is neither loopback nor a socket needs consent of its own; checked before anything is connected to.

    Raises:
        SetUpFault: that consent is missing.
    """
    if "service" in parameters or (environment.get("PGSERVICE") and "host" not in parameters):
        return  # the service file names the host: check_reached() sees it
    hosts = parameters.get("host", environment.get("PGHOST", "")).split(",")
    addresses = parameters.get("hostaddr", environment.get("PGHOSTADDR", "")).split(",")
    for host in (*hosts, *addresses):
        if not is_local(host):
            _refuse(host, allow_remote)


def check_reached(host: str, address: str, allow_remote: bool) -> None:
    """The same for where the connection really went.

    Raises:
        SetUpFault: consent is missing.
    """
    if not (is_local(host) and is_local(address)):
        _refuse(address or host, allow_remote)


def is_local(host: str) -> bool:
    """A socket's folder, an abstract socket, a loopback address or its usual name, or nothing (libpq's socket)."""
    return host.startswith(("/", "@")) or is_loopback(host.strip())


def check_named(choice: Choice, database: str, marked: bool, yes_on: tuple[str, ...]) -> None:
    """A database that nobody typed is used only if it is ours or agreed to by name.

    Raises:
        SetUpFault: it is neither.
    """
    ours = marked or lease_of_database(database) is not None or is_template_of_ours(database)
    if not (choice.typed or ours or database in yes_on):
        raise SetUpFault(
            f"database {database!r} comes from {choice.origin}, not from the command line, and is not marked as ours: "
            f"add --yes-on {database}, or give it with --dsn"
        )


def _refuse(host: str, allow_remote: bool) -> None:
    if not allow_remote:
        raise SetUpFault(f"{host} is not this machine: add --allow-remote to load a server over the network")
