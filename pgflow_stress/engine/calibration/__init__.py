"""The measurements of `calibrate`, one module each; a new one is a file and a line here.

Imported on use: which libpq psycopg and the extension get is settled when the target is opened.
"""

from __future__ import annotations

# In the order in which they are measured and shown; "module:function" of a function from Ground to Part.
MEASUREMENTS: dict[str, str] = {
    "clock": "pgflow_stress.engine.calibration.clock:measure",
    "recorder": "pgflow_stress.engine.calibration.recorder:measure",
    "client": "pgflow_stress.engine.calibration.wire:measure",
    "disk": "pgflow_stress.engine.calibration.disk:measure",
    "ceiling": "pgflow_stress.engine.calibration.ceiling:measure",
}
