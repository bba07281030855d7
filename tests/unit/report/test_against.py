"""Ours against a rival, as a person reads it."""

from __future__ import annotations

import io

from rich.console import Console

from pgflow_stress.analysis.against import Figure
from pgflow_stress.report.against import Told, render_against


def test_every_column_is_there_on_eighty() -> None:
    figures = (
        Figure("process.per_second", (1623.0,) * 20, (1566.0,) * 20, 1.04, (1.03, 1.05), None),
        Figure("client.cpu_ns_per_task", (2110.0,) * 20, (1520.0,) * 20, 1.35, (1.22, 1.50), None),
    )
    told = Told({}, "pgbench", {"what": "a worker's statements"}, {}, {}, figures, 5000, ((5000, 5000),) * 20, {})
    stream = io.StringIO()

    render_against(told, Console(file=stream, width=80))

    said = stream.getvalue()
    assert "pairs" in said
    assert "1.04 [1.03–1.05]" in said
    assert "…" not in said
