"""Runs before any test module imports psycopg or the extension: they bind to the libpq that is loaded then.

A machine may have no libpq of its own, and a run against the embedded server does not use it where there is one.
"""

from __future__ import annotations

import signal

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)
# A job in the background starts with it ignored, and so would every test that raises it.
signal.signal(signal.SIGINT, signal.default_int_handler)
