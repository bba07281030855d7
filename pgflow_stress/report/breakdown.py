"""The breakdown of a run's response time as a reader meets it: a line a hop, adding up; shared by terminal and HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.breakdown_rules import PREFIX
from pgflow_stress.core.critical_path import HOPS, STEP_HOPS
from pgflow_stress.core.result import Json, Result
from pgflow_stress.report import words
from pgflow_stress.report.svg import Bar, bars

COLUMNS = ("mean", "share", "95 %", "near p99")
_TITLES = {
    "wait": "wait for start",
    "start": "start",
    "queue_wait": "queue wait",
    "claim": "claim",
    "work": "work",
    "completion": "completion",
}
_IN_A_BACKLOG = {"queue_wait": "place in backlog"}
_MEANINGS = {
    "wait": "due to start_flow sent",
    "start": "start_flow sent to answered",
    "queue_wait": "released (its last parent's completing call answered) to its poll sent",
    "claim": "poll sent, or the release where the poll was waiting, to start_tasks answered",
    "work": "start_tasks answered to the completion sent",
    "completion": "the completion sent to answered",
}
_MEANINGS_IN_A_BACKLOG = {
    "start": "start_flow sent to answered, all runs at once",
    "queue_wait": "released to its poll sent: mostly how many tasks were before it, not how slow anything is",
}
_LEFT_OUT = {
    "rows_left_out": "rows found no room",
    "attempted_again": "a task was attempted again",
    "start_in_doubt": "the start is in doubt",
    "adopted": "completed for a dead worker",
    "retried": "a completion was sent again",
}
_MOST_REASONS = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the breakdown."""

    title: str
    meaning: str
    mean_ns: float
    cells: tuple[str, ...]  # as COLUMNS


def title_of(hop: str, load_model: str) -> str:
    """What a hop is called; of a drained backlog by what it really is there."""
    return _IN_A_BACKLOG.get(hop, _TITLES[hop]) if load_model == "backlog-drain" else _TITLES[hop]


def _meaning(hop: str, load_model: str) -> str:
    return _MEANINGS_IN_A_BACKLOG.get(hop, _MEANINGS[hop]) if load_model == "backlog-drain" else _MEANINGS[hop]


def lines(result: Result) -> list[Line]:
    """A line a hop, then what is left over, and their sum; [] where no run could be broken down."""
    whole = _mean(result, "response_ns.mean")
    if not whole:
        return []
    tail = _mean(result, "response_ns.tail")
    hops = [hop for hop in HOPS if _mean(result, f"{hop}_ns.mean") is not None]
    model = result.load_model
    found = [_line(result, hop, title_of(hop, model), _meaning(hop, model), whole) for hop in hops]
    left = [total - sum(_mean(result, f"{hop}_ns.{leaf}") or 0.0 for hop in hops) if total else None
            for leaf, total in (("mean", whole), ("tail", tail))]  # fmt: skip
    assert left[0] is not None
    text = tuple(formats.ABSENT if one is None else formats.duration_ns(one if abs(one) >= 1 else 0.0) for one in left)
    share = _mean(result, "residual_share")
    shown = formats.ABSENT if share is None else formats.share(share)
    found.append(Line("left over", "what does not add up", left[0], (text[0], shown, "", text[1])))
    total = words.latency_title("execute", result.load_model)
    found.append(_line(result, "response", f"= {total}", "all of it", whole))
    if _mean(result, "delivery_ns.mean") is not None:
        meaning = "the last completion answered to run:completed received: beyond the response time"
        found.append(_line(result, "delivery", "+ delivery", meaning, whole))
    return found


def _line(result: Result, name: str, title: str, meaning: str, whole: float) -> Line:
    mean, tail = (words.estimate(result, f"{PREFIX}{name}_ns.{leaf}") for leaf in ("mean", "tail"))
    value = _mean(result, f"{name}_ns.mean") or 0.0
    share = "" if name == "delivery" else _share(value / whole)
    cells = (_marked(mean), share, mean.plus_minus, _marked(tail))
    return Line(title, meaning, value, cells)


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _marked(estimate: words.Estimate) -> str:
    return estimate.mean if estimate.valid or estimate.mean == formats.ABSENT else f"{estimate.mean}*"


def _mean(result: Result, name: str) -> float | None:
    metric = result.summary.get(f"{PREFIX}{name}")
    return metric.mean if metric else None


def notes(result: Result) -> list[str]:
    """What a reader must know of the runs behind it: how many, which were left out, and whether it adds up."""
    found = _breakdowns(result)
    if not found:
        return []
    runs, completed = (sum(int(one.get(name) or 0) for one in found) for name in ("runs", "completed_runs"))
    many = "" if completed == 1 else "s"
    said = [f"{runs:,} run{many}" if runs == completed else f"{runs:,} of {completed:,} run{many}"]
    left_out: Counter[str] = Counter()
    for one in found:
        left_out.update(one.get("left_out") or {})
    said += [f"{count:,} left out: {_LEFT_OUT.get(why, why)}" for why, count in left_out.most_common()]
    drawn = sum(int(one.get("looked_at") or 0) for one in found)
    if drawn < completed - left_out.get("rows_left_out", 0):
        said.append(f"a sample of {drawn:,}")
    return ["; ".join(said), *_doubts(result)]


def _doubts(result: Result) -> list[str]:
    """Why all of it is not to be relied on, without what is said of the whole measurement."""
    verdict = result.verdict.metrics.get(f"{PREFIX}residual_share")
    reasons = verdict.reasons if verdict else ()
    return [reason for reason in reasons if reason not in result.verdict.reasons][:_MOST_REASONS]


def _breakdowns(result: Result) -> list[Mapping[str, Any]]:
    found = (repetition.client.get("breakdown") or {} for repetition in result.repetitions if repetition.counted)
    return [one for one in found if one.get("completed_runs")]


def breakdown_view(result: Result) -> Json | None:
    """What the report's template shows; None where there is nothing."""
    told = lines(result)
    if not told:
        return None
    whole = _mean(result, "response_ns.mean") or 1.0
    hops = told[: next(i for i, line in enumerate(told) if line.title.startswith("="))]
    return {
        "total": words.latency_title("execute", result.load_model),
        "columns": COLUMNS,
        "lines": told,
        "notes": notes(result),
        "bars": _picture(hops, whole),
        "positions": _positions(result),
        "step_hops": [title_of(hop, result.load_model) for hop in STEP_HOPS],
    }


def _picture(hops: Sequence[Line], whole: float) -> Markup:
    rows = [Bar(hop.title, max(0.0, hop.mean_ns), f"{hop.cells[0]}, {_share(hop.mean_ns / whole)}", True)
            for hop in hops]  # fmt: skip
    return bars(rows, "Where the response time went")


def _positions(result: Result) -> list[Json]:
    """The hops of each step of the paths: means over the counted repetitions, where all have as many steps."""
    by_repetition = [one.get("by_position") or [] for one in _breakdowns(result)]
    if len({len(one) for one in by_repetition}) != 1:
        return []
    return [_position(places) for places in zip(*by_repetition, strict=True)]


def _position(places: Sequence[Mapping[str, Any]]) -> Json:
    slugs = {place.get("step") for place in places}
    slug = slugs.pop() if len(slugs) == 1 else None
    means = [sum(float(place["mean_ns"][hop]) for place in places) / len(places) for hop in STEP_HOPS]
    return {
        "step": slug or "several",
        "position": places[0]["position"] + 1,
        "runs": f"{sum(int(place['runs']) for place in places):,}",
        "cells": [formats.duration_ns(mean) for mean in means],
    }
