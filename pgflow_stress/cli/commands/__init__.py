"""The commands, one module each, imported on use; a new one is a file and a line here.

A module imports nothing heavy (numpy, psycopg, rich) at its top: `pgflow-stress --help` imports them all.
"""

from __future__ import annotations

# In the order in which --help lists them.
COMMANDS: dict[str, str] = {
    "run": "pgflow_stress.cli.commands.run:run",
    "sweep": "pgflow_stress.cli.commands.sweep:sweep",
    "find-max": "pgflow_stress.cli.commands.find_max:find_max",
    "profile": "pgflow_stress.cli.commands.profile:profile",
    "compare": "pgflow_stress.cli.commands.compare:compare",
    "plan": "pgflow_stress.cli.commands.plan:plan",
    "report": "pgflow_stress.cli.commands.report:report",
    "audit": "pgflow_stress.cli.commands.audit:audit",
    "calibrate": "pgflow_stress.cli.commands.calibrate:calibrate",
    "doctor": "pgflow_stress.cli.commands.doctor:doctor",
    "scenarios": "pgflow_stress.cli.commands.scenarios:scenarios",
    "db": "pgflow_stress.cli.commands.db:db",
}
