"""The rules of the verdict about plans: hot statements kept them, and they are those that the server would make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from pgflow_stress.analysis.disturbance_rules import touched_by_the_server
from pgflow_stress.analysis.evidence import Evidence, Finding, in_repetitions
from pgflow_stress.core.result import Json, Repetition

_Change = tuple[str, str | None, str | None]  # statement, plan before, plan after
_HOTTEST = ("complete_task", "start_tasks", "read")


def plans_stayed(evidence: Evidence) -> Iterator[Finding]:
    """A plan that changed between the ends of a window: the rate is that of neither.

    A change that every repetition shares, from the same plan to the same, is what the job does to its own tables (they
    grow while it runs) and a note; one that only some have was done to it. A single repetition cannot tell the two
    apart. Reads server["plans"]: {statement: {"before", "after", "changed"}}, and server["plans_not_seen"]: why there
    are none. For capacity it belongs to the load, and is a note; so it is where statistics of the backlog were asked
    for, of which kept plans are made anew before the first task is processed.
    """
    most = evidence.limits.max_plan_changes
    changes = {r.index: _changed(r) for r in evidence.counted}
    if _has_statistics(evidence):
        if anew := set().union(*changes.values()):
            yield Finding(f"plans were made anew of the backlog's statistics: {_named(_statements([anew]))}")
        changes = {}
    shared = set.intersection(*map(set, changes.values())) if len(changes) > 1 else set()
    over = {index: own for index, all_ in changes.items() if len(own := all_ - shared) > most}
    if over:
        touched = touched_by_the_server(evidence)
        yield Finding(
            f"plan changed inside the window: {_named(_statements(over.values()))} ({in_repetitions(over)})", touched
        )
    if len(shared) > most:
        yield Finding(
            f"plan changed inside the window of every repetition alike, as tables fill: {_named(_statements([shared]))}"
        )
    if unseen := {str(why) for r in evidence.counted if (why := r.server.get("plans_not_seen"))}:
        yield Finding(f"plans of hot statements were not looked at: {min(unseen)}")


def plans_fit(evidence: Evidence) -> Iterator[Finding]:
    """Plans that were kept from a nearly empty database: what they cost is not what a used one costs. A note.

    Only of databases that were made for the repetition, without a history or statistics of the backlog.

    Reads server["plans"]: {statement: {"outgrown"}}, true where a session that began after the window has another.
    """
    outgrown = {name for r in evidence.counted for name, one in _plans(r).items() if one.get("outgrown")}
    is_ours = evidence.parameters.get("isolation") in ("clone", "fresh")
    is_told = evidence.parameters.get("history") or _has_statistics(evidence)
    if not is_ours or is_told or not outgrown:
        return
    yield Finding(
        f"plans were kept from when tables were nearly empty, and the server would by now choose others: "
        f"{_named(outgrown)}; --history 2000, and of a drained backlog --planner-statistics backlog, "
        "measure with planner statistics"
    )


def _has_statistics(evidence: Evidence) -> bool:
    return bool(evidence.parameters.get("planner_statistics") == "backlog")


def _statements(changes: Iterable[Collection[_Change]]) -> set[str]:
    return {name for one in changes for name, _, _ in one}


def _named(statements: Collection[str]) -> str:
    first, *more = sorted(statements, key=_hottest_first)
    return f"{first}{f' and {len(more)} more' if more else ''}"


def _hottest_first(name: str) -> tuple[int, str]:
    """Those of completing a task, then of claiming one; of the rest, alphabetically."""
    function = name.partition(":")[0]
    return next((place for place, hot in enumerate(_HOTTEST) if hot in function), len(_HOTTEST)), name


def _changed(repetition: Repetition) -> set[_Change]:
    plans = _plans(repetition)
    return {(name, one.get("before"), one.get("after")) for name, one in plans.items() if one.get("changed")}


def _plans(repetition: Repetition) -> Json:
    plans = repetition.server.get("plans")
    return plans if isinstance(plans, dict) else {}
