"""A soak in words and as a table: stationary or not, what drifts by how much an hour, what fills up when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Json, Repetition, Result

HEADER = ("quantity", "mean", "an hour", "95 % of it", "of itself an hour", "change looked at", "95 % of it", "shown")
_HOURS_PER_DAY = 24.0
_HOURS_PER_YEAR = 24.0 * 365.0
_TOLD = ("tasks_per_second", "response_p50_ns", "response_p99_ns", "table_bytes", "rows_live", "rows_dead")


def soak_of(result: Result) -> Json | None:
    """What was concluded; None where nothing was soaked."""
    found: Json | None = result.outcome.get("soak")
    return found


def soak_lines(result: Result) -> list[str]:
    """The verdict, the drifts, what fills up, the jobs of retention; [] where nothing was soaked."""
    soak = soak_of(result)
    if soak is None:
        return []
    lines = [verdict_words(soak), *soak["reasons"], f"an hour: {', '.join(_drifts(soak))}", *full_lines(soak)]
    return lines + [line for one in result.repetitions for line in prune_lines(one)]


def verdict_words(soak: Mapping[str, Any]) -> str:
    """`stationary over …`, or by how much an hour it degrades."""
    over = f"over {_seconds(soak['looked_at_seconds'])}, the first {_seconds(soak['run_in_seconds'])} left out"
    if soak["state"] == "degrading" and soak["share_per_hour"] is not None:
        return f"degrading {_share(soak['share_per_hour']).lstrip('+-')} an hour ({soak['of']}) {over}"
    return f"{soak['state']} {over}"


def full_lines(soak: Mapping[str, Any]) -> list[str]:
    """When the disk is full and when the next freezing is forced, where that is known."""
    named = (("disk_full", "disk full"), ("freeze", "autovacuum_freeze_max_age reached"))
    return [f"{title} {_until_words(soak[name])}" for name, title in named if soak[name] is not None]


def prune_lines(repetition: Repetition) -> list[str]:
    """A line a job of retention."""
    return [
        f"--prune every {one['every_seconds']:g} s: {one['count']} times, {one['rows']:,} rows"
        + (f", mean {_seconds(one['mean_seconds'])}" if one["count"] else "")
        + (f", longest {_seconds(one['longest_seconds'])}" if one["count"] else "")
        + (f", FAILED {one['failed']} times: {one['first_error']}" if one["failed"] else "")
        for one in repetition.soak.get("prunes", ())
    ]


def slope_rows(soak: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row a quantity, under `HEADER`."""
    return [_slope_row(one) for one in soak["slopes"]]


def amount(value: float, unit: str) -> str:
    """A value of a quantity as a person reads it."""
    if unit == "ns":
        return formats.duration_ns(value)
    if unit == "bytes":
        return formats.size(value)
    return formats.with_unit(value, unit)


def _slope_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    if one["per_hour"] is None:
        absent = (formats.ABSENT,) * 6
        return (one["title"], *absent, f"cannot tell: {one['why']}")
    unit = one["unit"]
    return (
        one["title"],
        amount(one["mean"], unit),
        amount(one["per_hour"], unit),
        f"{amount(one['per_hour_low'], unit)} to {amount(one['per_hour_high'], unit)}",
        _share(one["share_per_hour"]),
        _share(one["change"]),
        f"{_share(one['change_low'])} to {_share(one['change_high'])}",
        _shown(one),
    )


def _shown(one: Mapping[str, Any]) -> str:
    if one["limit"] is None:
        return "told, decides nothing"
    limit = f"limit {one['limit']:.0%}".replace("%", " %")
    return f"{one['state']} ({limit})" if one["decides"] else f"told, decides nothing here ({limit})"


def _drifts(soak: Mapping[str, Any]) -> list[str]:
    by_name = {one["name"]: one for one in soak["slopes"]}
    return [
        f"{one['title']} {_share(one['share_per_hour'])}"
        for name in _TOLD
        if (one := by_name.get(name)) is not None and one["share_per_hour"] is not None
    ]


def _until_words(until: Mapping[str, Any]) -> str:
    if until["hours"] is None:
        return (
            "not as it goes"
            if until["earliest_hours"] is None
            else f"not as it goes, at the earliest in {_hours(until['earliest_hours'])}"
        )
    latest = "never" if until["latest_hours"] is None else _hours(until["latest_hours"])
    return f"in {_hours(until['hours'])} (95 %: {_hours(until['earliest_hours'])} to {latest})"


def _hours(hours: float) -> str:
    if hours >= 2 * _HOURS_PER_YEAR:
        return formats.with_unit(hours / _HOURS_PER_YEAR, "years", 2)
    if hours >= 2 * _HOURS_PER_DAY:
        return formats.with_unit(hours / _HOURS_PER_DAY, "days", 2)
    return formats.with_unit(hours, "h", 2)


def _share(share: float) -> str:
    return f"{100 * share:+,.3g} %" if abs(share) < 100 else f"{100 * share:+,.0f} %"


def _seconds(seconds: float) -> str:
    if seconds >= 7200:
        return formats.with_unit(seconds / 3600, "h")
    return formats.with_unit(seconds / 60, "min") if seconds >= 120 else formats.with_unit(seconds, "s")
