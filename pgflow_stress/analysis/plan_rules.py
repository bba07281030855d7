"""The rule of the verdict that hot statements kept their plans."""

from __future__ import annotations

from collections.abc import Iterator

from pgflow_stress.analysis.disturbance_rules import touched_by_the_server
from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.core.result import Repetition

_HOTTEST = ("complete_task", "start_tasks", "read")


def plans_stayed(evidence: Evidence) -> Iterator[Finding]:
    """A plan that changed between the ends of a window: the rate is that of neither.

    Reads server["plans"]: {statement: {"before", "after", "changed"}}, and server["plans_not_seen"]: why there are
    none. For capacity it belongs to the load, and is a note.
    """
    most = evidence.limits.max_plan_changes
    over = {r.index: names for r in evidence.counted if len(names := _changed(r)) > most}
    if over:
        first, *more = sorted({name for names in over.values() for name in names}, key=_hottest_first)
        others = f" and {len(more)} more" if more else ""
        yield Finding(
            f"plan changed inside the window: {first}{others} ({in_repetitions(over)})", touched_by_the_server(evidence)
        )
    if unseen := {str(why) for r in evidence.counted if (why := r.server.get("plans_not_seen"))}:
        yield Finding(f"plans of hot statements were not looked at: {min(unseen)}")


def _hottest_first(name: str) -> tuple[int, str]:
    """Those of completing a task, then of claiming one; of the rest, alphabetically."""
    function = name.partition(":")[0]
    return next((place for place, hot in enumerate(_HOTTEST) if hot in function), len(_HOTTEST)), name


def _changed(repetition: Repetition) -> list[str]:
    plans = repetition.server.get("plans")
    return [name for name, one in plans.items() if one.get("changed")] if isinstance(plans, dict) else []
