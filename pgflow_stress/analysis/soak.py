"""What a soak shows: what drifts and by how much an hour, whether that is for the worse, and what fills up when.

Every number is out of one repetition's windows; neighbours are alike, and `trend` allows for that. A quantity is
*stationary* where its whole interval of change lies within its limit, *degrading* where the whole interval is for the
worse and reaches beyond the limit; else nothing can be told of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from pgflow_stress.analysis.statistics import LEVEL, Floats
from pgflow_stress.analysis.trend import trend
from pgflow_stress.core.result import Json

SECONDS_PER_HOUR = 3600.0
RUN_IN = 0.1  # of the soak, which is not looked at
RUN_IN_WITH_RETENTION = 1 / 3  # until a job of retention removes as much as comes
LEAST_WINDOWS = 10  # that are looked at
LEAST_VACUUMS = 10  # rounds of autovacuum that a size is looked at over
_USUAL_NAPTIME_SECONDS = 60.0
_MOST_MISSING = 0.2  # of a quantity's windows


class State(StrEnum):
    """What is shown of a quantity, and of the whole."""

    STATIONARY = "stationary"
    DEGRADING = "degrading"
    IMPROVING = "improving"  # still settling: no state to stay in
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that is looked at over the windows of a soak."""

    name: str  # of its column
    title: str
    unit: str
    of: str  # "windows" or "readings"
    worse: int  # 1: more of it is worse, -1: less
    limit: float | None  # of the change over what is looked at, a share; None: it is told and decides nothing
    by_logs: bool = False  # it multiplies: its logs have the straight line
    with_retention: bool = False  # it decides only where a job of retention is to keep it as it is
    with_vacuums: bool = False  # and only over so many rounds of autovacuum: before, space is not used again


QUANTITIES = (
    Quantity("tasks_per_second", "rate", "tasks/s", "windows", -1, 0.10, by_logs=True),
    Quantity("response_p50_ns", "response time p50", "ns", "windows", 1, 0.25, by_logs=True),
    Quantity("response_p99_ns", "response time p99", "ns", "windows", 1, 0.75, by_logs=True),
    Quantity("rows_live", "live rows", "rows", "readings", 1, 0.25, with_retention=True),
    Quantity("table_bytes", "tables", "bytes", "readings", 1, 0.5, with_retention=True, with_vacuums=True),
    Quantity("index_bytes", "indexes", "bytes", "readings", 1, 0.5, with_retention=True, with_vacuums=True),
    Quantity("cycle_p99_ns", "cycle time p99", "ns", "windows", 1, None, by_logs=True),
    Quantity("rows_dead", "dead rows", "rows", "readings", 1, None),
    Quantity("oldest_xmin_age", "oldest xmin", "transactions", "readings", 1, None),
    Quantity("xids", "transaction ids", "transactions", "readings", 1, None),
    Quantity("database_bytes", "database", "bytes", "readings", 1, None),
    Quantity("wal_bytes", "WAL written", "bytes", "readings", 1, None),
)


@dataclass(frozen=True, slots=True)
class Slope:
    """The drift of one quantity over what is looked at; an interval is at 95 % for all that decide together."""

    name: str
    title: str
    unit: str
    state: State
    why: str  # nothing can be told; "" where something can
    decides: bool
    windows: int = 0
    mean: float | None = None
    per_hour: float | None = None  # in its unit
    per_hour_low: float | None = None
    per_hour_high: float | None = None
    share_per_hour: float | None = None  # of its mean
    change: float | None = None  # over what is looked at, a share
    change_low: float | None = None
    change_high: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """When something is full, hours from the end; None for never, as far as the interval shows."""

    hours: float | None
    earliest_hours: float | None
    latest_hours: float | None


@dataclass(frozen=True, slots=True)
class Soaked:
    """The verdict of a soak."""

    state: State
    share_per_hour: float | None  # of what degrades most
    of: str  # its title
    reasons: tuple[str, ...]
    looked_at_seconds: float
    run_in_seconds: float
    slopes: tuple[Slope, ...]
    disk_full: Until | None  # None: not known
    freeze: Until | None

    def as_json(self) -> Json:
        """As the result's outcome has it."""
        plain: Json = asdict(self)
        plain["state"] = str(self.state)
        plain["slopes"] = [{**one, "state": str(one["state"])} for one in plain["slopes"]]
        plain["reasons"] = list(self.reasons)
        return plain


def judge_soak(soak: Json) -> Soaked:
    """What the books of a soak show.

    Args:
        soak: repetitions[].soak: {windows: {column: [..]}, readings: {seconds, column: [..]}, retention, …}.
    """
    share = RUN_IN_WITH_RETENTION if soak.get("retention") else RUN_IN
    readings = soak.get("readings") or {}
    times = [float(at) for at in readings.get("seconds") or ()]
    length = times[-1] - times[0] if len(times) > 1 else 0.0
    seconds = length * (1 - share)
    deciding = [one for one in QUANTITIES if _decides(one, soak, seconds)]
    level = 1 - (1 - LEVEL) / len(deciding)
    slopes = tuple(_slope_of(one, soak, share, level, decides=one in deciding) for one in QUANTITIES)
    by_name = {one.name: one for one in slopes}
    state, reasons, worst = _verdict([one for one in slopes if one.decides])
    return Soaked(
        state=state,
        share_per_hour=None if worst is None else worst.share_per_hour,
        of="" if worst is None else worst.title,
        reasons=tuple(reasons),
        looked_at_seconds=seconds,
        run_in_seconds=length * share,
        slopes=slopes,
        disk_full=_until(_last(readings, "disk_free_bytes"), by_name["database_bytes"]),
        freeze=_until(_left_to_freeze(soak, readings), by_name["xids"]),
    )


def _decides(quantity: Quantity, soak: Json, seconds: float) -> bool:
    naptime = float(soak.get("autovacuum_naptime_seconds") or _USUAL_NAPTIME_SECONDS)
    is_long_enough = not quantity.with_vacuums or seconds >= LEAST_VACUUMS * naptime
    is_kept = bool(soak.get("retention")) or not quantity.with_retention
    return quantity.limit is not None and is_kept and is_long_enough


def _slope_of(quantity: Quantity, soak: Json, run_in: float, level: float, *, decides: bool) -> Slope:
    column: Sequence[Any] = (soak.get(quantity.of) or {}).get(quantity.name) or ()
    looked_at = list(column)[math.ceil(run_in * len(column)) :]
    window = float(soak.get("window_seconds") or 0.0)
    try:
        values = _filled(looked_at, positive=quantity.by_logs)
    except ValueError as why:
        decides = decides and not _has_too_few_runs(quantity, looked_at)
        return Slope(quantity.name, quantity.title, quantity.unit, State.CANNOT_TELL, str(why), decides)
    together = _together(soak, len(values), window)
    heights = values[len(values) % together :].reshape(-1, together)
    means = np.exp(np.log(heights).mean(axis=1)) if quantity.by_logs else heights.mean(axis=1)
    return slope(quantity, means, together * window, level, decides=decides)


def _together(soak: Json, windows: int, window_seconds: float) -> int:
    """How many windows make a height: those of the longest period of a job of retention, where enough are left.

    Between two times of it what is kept goes up and down like a saw, which is no noise.
    """
    periods = [
        round(float(one["every_seconds"]) / window_seconds) for one in soak.get("prunes") or () if window_seconds
    ]
    return max([1, *(period for period in periods if period >= 1 and windows // period >= LEAST_WINDOWS)])


def _has_too_few_runs(quantity: Quantity, values: Sequence[Any]) -> bool:
    """Whether it is a percentile that windows have too few runs for: that was not asked for, and decides nothing."""
    missing = sum(value is None for value in values)
    return quantity.name == "response_p99_ns" and missing > _MOST_MISSING * len(values)


def _filled(column: Sequence[Any], *, positive: bool) -> Floats:
    """The values, what is missing drawn between its neighbours.

    Raises:
        ValueError: too few windows, too many without a value, or one that has no log; one line says which.
    """
    if len(column) < LEAST_WINDOWS:
        raise ValueError(f"{len(column)} windows: a slope takes {LEAST_WINDOWS}")
    known = [place for place, value in enumerate(column) if value is not None and math.isfinite(value)]
    if len(known) < (1 - _MOST_MISSING) * len(column):
        raise ValueError(f"{len(column) - len(known)} of {len(column)} windows have no value")
    values = np.interp(np.arange(len(column)), known, [float(column[place]) for place in known])
    if positive and float(values.min()) <= 0:
        raise ValueError("a window in which nothing was completed")
    return np.asarray(values, dtype=np.float64)


def slope(quantity: Quantity, values: Floats, window_seconds: float, level: float, *, decides: bool = True) -> Slope:
    """The straight line through one quantity's windows, and what it is worth.

    Args:
        values: at least LEAST_WINDOWS, of windows of equal length, above 0 where it is by logs.
        level: of the interval.
    """
    hours = len(values) * window_seconds / SECONDS_PER_HOUR
    level_now = float(np.exp(np.log(values).mean())) if quantity.by_logs else float(values.mean())
    found = trend(np.log(values) if quantity.by_logs else values)
    half = found.half((1 + level) / 2)
    ends = (found.per_window, found.per_window - half, found.per_window + half)
    if quantity.by_logs:
        change, low, high = (math.expm1(min(end, 700.0)) for end in ends)
        per_hour = tuple(end / hours * level_now for end in ends)
    else:
        change, low, high = (end / (level_now or 1.0) for end in ends)
        per_hour = tuple(end / hours for end in ends)
    return Slope(
        name=quantity.name,
        title=quantity.title,
        unit=quantity.unit,
        state=_state(quantity, low, high) if quantity.limit is not None else State.CANNOT_TELL,
        why="",
        decides=decides,
        windows=len(values),
        mean=level_now,
        per_hour=per_hour[0],
        per_hour_low=per_hour[1],
        per_hour_high=per_hour[2],
        share_per_hour=per_hour[0] / (level_now or 1.0),
        change=change,
        change_low=low,
        change_high=high,
        limit=quantity.limit,
    )


def _state(quantity: Quantity, low: float, high: float) -> State:
    """Of an interval of change: in the direction that is worse."""
    limit = quantity.limit or 0.0
    if quantity.worse < 0:
        low, high = -high, -low
    if -limit < low and high < limit:
        return State.STATIONARY
    if low > 0:
        return State.DEGRADING
    if high < 0:
        return State.IMPROVING
    return State.CANNOT_TELL


def _verdict(deciding: Sequence[Slope]) -> tuple[State, list[str], Slope | None]:
    """The worst of all that decide, why, and what degrades most."""
    degrading = [one for one in deciding if one.state is State.DEGRADING]
    if degrading:
        worst = max(degrading, key=lambda one: abs(one.change or 0.0) / (one.limit or 1.0))
        return State.DEGRADING, [_in_words(one) for one in degrading], worst
    untold = [one for one in deciding if one.state is not State.STATIONARY]
    if untold:
        return State.CANNOT_TELL, [_in_words(one) for one in untold], None
    return State.STATIONARY, [], None


def _in_words(one: Slope) -> str:
    if one.why:
        return f"{one.title}: {one.why}"
    limit = f"limit {one.limit:.0%}" if one.limit is not None else "no limit"
    told = f"{one.title}: {one.change:+.0%} (95 %: {one.change_low:+.0%} to {one.change_high:+.0%}, {limit})"
    return f"{told}, still settling" if one.state is State.IMPROVING else told


def _last(readings: Json, name: str) -> float | None:
    known = [value for value in readings.get(name) or () if value is not None]
    return float(known[-1]) if known else None


def _left_to_freeze(soak: Json, readings: Json) -> float | None:
    most, age = soak.get("autovacuum_freeze_max_age"), _last(readings, "frozen_age")
    return None if most is None or age is None else max(0.0, float(most) - age)


def _until(left: float | None, growing: Slope) -> Until | None:
    """Hours until so much more has come, at this slope; None where either is not known."""
    if left is None or growing.per_hour is None or growing.per_hour_low is None or growing.per_hour_high is None:
        return None

    def hours(per_hour: float) -> float | None:
        return left / per_hour if per_hour > 0 else None

    return Until(hours(growing.per_hour), hours(growing.per_hour_high), hours(growing.per_hour_low))
