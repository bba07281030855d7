"""`find-max`: comes later."""

from __future__ import annotations

from pgflow_stress.cli.later import later_command

find_max = later_command("find-max", "Maximum sustainable throughput under a latency limit.")
