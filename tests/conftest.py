"""Runs before any test module imports psycopg or the extension: they bind to the libpq that is loaded then.

A machine may have no libpq of its own, and a run against the embedded server does not use it where there is one.
"""

from __future__ import annotations

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)
