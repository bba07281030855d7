"""`sweep`: comes later."""

from __future__ import annotations

from pgflow_stress.cli.later import later_command

sweep = later_command("sweep", "A grid over any options, randomised and interleaved, resumable.")
