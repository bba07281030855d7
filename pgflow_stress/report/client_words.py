"""What a reader is told of the client's probe and of failed tasks, in plain lines: shared by terminal and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgflow_stress.analysis import formats

_MOST_FAILURES = 5


def probe_lines(outcome: Mapping[str, Any]) -> list[str]:
    """What --probe-client showed. Reads client_probe, as analysis.client_probe has it; [] where nothing was probed."""
    probe: Mapping[str, Any] = outcome.get("client_probe") or {}
    if not probe:
        return []
    cost, worker = probe["more_client_cost"], probe["one_more_worker"]
    return [
        *map(str, probe["verdict"]),
        f"{cost['added_share']:.0%} more client cost a task: {_effect(probe['metric'], cost)}",
        f"one more worker: {_effect(probe['metric'], worker)}",
    ]


def _effect(metric: str, effect: Mapping[str, Any]) -> str:
    ratio, ci95, n = effect.get("ratio"), effect.get("ci95"), effect.get("n") or 0
    if ratio is None or ci95 is None:
        return f"cannot tell, {n} pair{'' if n == 1 else 's'}"
    shown = "" if not ci95[0] <= 1 <= ci95[1] else ", no difference shown"
    if shown and effect.get("detectable") is not None:
        shown += f" (one of {formats.share(effect['detectable'])} would have been)"
    low, high = map(_change, ci95)
    return f"{metric} {_change(ratio)} (95 %: {low} to {high}) of {n} pairs{shown}"


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def failure_lines(outcome: Mapping[str, Any]) -> list[str]:
    """Failed tasks by what they failed of, commonest first. Reads failures: {error: tasks}; [] where none failed."""
    failures: Mapping[str, int] = outcome.get("failures") or {}
    shown = list(failures.items())[:_MOST_FAILURES]
    lines = [f"{count:,} failed: {error}" for error, count in shown]
    if more := sum(failures.values()) - sum(count for _, count in shown):
        lines.append(f"{more:,} failed of other errors, in the result")
    return lines
