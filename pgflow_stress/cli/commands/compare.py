"""`compare`: comes later."""

from __future__ import annotations

from pgflow_stress.cli.later import later_command

compare = later_command("compare", "A statistical verdict between results.")
