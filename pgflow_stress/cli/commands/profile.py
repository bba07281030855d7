"""`profile`: comes later."""

from __future__ import annotations

from pgflow_stress.cli.later import later_command

profile = later_command("profile", "Where the time goes when the CPU is saturated.")
