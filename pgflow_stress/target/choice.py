"""Which target was asked for: a pure function of the options and the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pgflow_stress.target.base import TargetOptions

_LIBPQ_VARIABLES = ("PGHOST", "PGSERVICE", "PGDATABASE")
_SSLMODE = re.compile(r"\bsslmode\s*=\s*'?(?P<mode>[a-z-]+)")
_TLS_MODES = frozenset({"require", "verify-ca", "verify-full"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What to connect to, and who said so."""

    embedded: bool
    conninfo: str  # as given, URI or keywords; empty where libpq's variables say it all
    typed: bool  # on the command line: consent by itself
    origin: str  # for messages: "--dsn", "DATABASE_URL", "PGHOST"…
    wants_tls: bool = False


def chosen(dsn: str, origin: str) -> Choice:
    """A server by its address alone, as typed."""
    return Choice(False, dsn, True, origin, _wants_tls(dsn, {}))


def choose_target(options: TargetOptions, environment: Mapping[str, str]) -> Choice:
    """`--dsn`, else DATABASE_URL, else libpq's PGHOST, PGSERVICE or PGDATABASE, else the embedded server.

    An empty variable counts as unset, as libpq has it.
    """
    if options.dsn:
        origin = "--dsn" if options.dsn_typed else "the configured dsn"
        return Choice(False, options.dsn, options.dsn_typed, origin, _wants_tls(options.dsn, environment))
    url = environment.get("DATABASE_URL", "")
    if url:
        return Choice(False, url, False, "DATABASE_URL", _wants_tls(url, environment))
    for variable in _LIBPQ_VARIABLES:
        if environment.get(variable):
            return Choice(False, "", False, variable, _wants_tls("", environment))
    return Choice(True, "", True, "the embedded server")


def _wants_tls(conninfo: str, environment: Mapping[str, str]) -> bool:
    found = _SSLMODE.search(conninfo)
    return (found.group("mode") if found else environment.get("PGSSLMODE", "")) in _TLS_MODES
