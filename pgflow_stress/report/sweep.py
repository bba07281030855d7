"""A sweep as JSON, `pgflow-stress/sweep/1`: its cells, what they cost along each axis, which is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pgflow_stress.analysis.growth import FLAT_PER_DECADE, Growth, Parameter
from pgflow_stress.analysis.ranking import Ranking
from pgflow_stress.analysis.scalability import MOST_AHEAD, Scalability
from pgflow_stress.analysis.sweeping import Curve, Line, Point, Scaling, curves, lines, ranking, scaling
from pgflow_stress.core.result import Json

SCHEMA = "pgflow-stress/sweep/1"
_MOST_LINES = 40  # of a grid of many axes: more are told by their number


def sweep_document(
    *,
    about: Json,
    head: Json,
    axes: Sequence[Any],
    cells: Sequence[Json],
    points: Sequence[Point],
    confirmed: Sequence[Point],
    sound: Iterable[int],
    metric: str,
    outcome: Json,
) -> Json:
    """The document.

    Args:
        about: version and revision of the tool.
        head: what the sweep measured, as its journal begins.
        axes: each with a `name`, `values` and `place(value)`.
        cells: one object each, with `values`, `summary`, `verdict`, `codes` and `reasons`.
        points: of the grid, those that have a repetition; `confirmed`: of the repetitions that confirm.
        sound: cells that ended as they should: others are told and take no part in fits and ranks.
    """
    kept = set(sound)
    good = [point for point in points if point.cell in kept]
    names = [axis.name for axis in axes]
    found = lines(names, good)
    return {
        "schema": SCHEMA,
        "tool": about,
        **head,
        "cells": list(cells),
        "curves": [_curve(curve) for line in found[:_MOST_LINES] for curve in curves(line)],
        "scaling": [_scaling(one) for line in found[:_MOST_LINES] if (one := scaling(line, metric))],
        "lines_left_out": max(0, len(found) - _MOST_LINES),
        "best": _best(good, [point for point in confirmed if point.cell in kept], axes, metric),
        "outcome": outcome,
    }


def _line(line: Line) -> Json:
    return {"axis": line.axis, "at": dict(line.at), "sizes": list(line.sizes), "cells": [p.cell for p in line.points]}


def _curve(curve: Curve) -> Json:
    return {
        **_line(curve.line),
        "metric": curve.metric,
        "growth": _growth(curve.growth) if curve.growth else None,
        "reason": curve.reason,
    }


def _growth(found: Growth) -> Json:
    return {
        "model": found.model,
        "a": _parameter(found.a),
        "b": _parameter(found.b) if found.b else None,
        "margin": found.margin,
        "runner_up": found.runner_up,
        "per_decade": _parameter(found.per_decade),
        "shown": str(found.shown),
        "flat_below_per_decade": FLAT_PER_DECADE,
        "values": found.n,
    }


def _parameter(found: Parameter) -> Json:
    return asdict(found)


def _scaling(one: Scaling) -> Json:
    law = one.law
    return {
        **_line(one.line),
        "metric": one.metric,
        "law": _law(law) if law else None,
        "reason": one.reason,
        "cores_exhausted_at": list(one.exhausted),
    }


def _law(law: Scalability) -> Json:
    ahead = MOST_AHEAD * law.largest
    return {
        "one": _parameter(law.one),
        "sigma": _parameter(law.sigma),
        "kappa": _parameter(law.kappa),
        "peak": law.peak,
        "forecast": {"workers": ahead, "per_second": _parameter(law.forecast(ahead))},
        "values": law.n,
    }


def _best(points: Sequence[Point], confirmed: Sequence[Point], axes: Sequence[Any], metric: str) -> Json:
    """The grid's best and its ties, then what the fresh repetitions say; only these are recommended."""
    found = _ranked(points, metric)
    again = _ranked(confirmed, metric) if confirmed else _unranked("no cell was measured again in fresh repetitions")
    ties = again["ties"] or ([confirmed[0].cell] if len(confirmed) == 1 else [])
    by_cell = {point.cell: point for point in confirmed}
    recommended = min(ties, key=lambda cell: _smallness(by_cell[cell], axes), default=None)
    return {"metric": metric, "grid": found, "confirmed": again, "recommended": recommended}


def _ranked(points: Sequence[Point], metric: str) -> Json:
    try:
        found: Ranking = ranking(points, metric)
    except ValueError as why:
        return _unranked(str(why))
    return {"order": list(found.order), "ties": list(found.ties), "margin": found.margin, "reason": ""}


def _unranked(why: str) -> Json:
    return {"order": [], "ties": [], "margin": None, "reason": why}


def _smallness(point: Point, axes: Sequence[Any]) -> tuple[float, ...]:
    """Of cells that are as good the one that asks for least: the smaller numbers, axis by axis."""
    return tuple(axis.place(text) for axis, text in zip(axes, point.texts, strict=True))
