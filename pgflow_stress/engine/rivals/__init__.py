"""What `compare --against` holds the tool against, one module each; a new one is a file and a line here.

Imported on use: which libpq psycopg gets is settled when the target is opened.
"""

from __future__ import annotations

# In the order of --help; "module:function" from RunOptions and wants_tls to a Rival of rivals.base.
RIVALS: dict[str, str] = {
    "pgbench": "pgflow_stress.engine.rivals.pgbench:rival",
    "server": "pgflow_stress.engine.rivals.server:rival",
    "legacy": "pgflow_stress.engine.rivals.legacy:rival",
}
