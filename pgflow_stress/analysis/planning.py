"""What a rate asks for: arithmetic on measured costs a task, and nothing else. No latency: it does not scale so.

Every figure is linear in one cost, so that its interval is that cost's. What has no cost is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pgflow_stress.analysis.costs import Cost
from pgflow_stress.core.units import NS_PER_SECOND

SECONDS_PER_DAY = 86_400
BYTES_PER_MB = 10**6
BYTES_PER_GB = 10**9
DEFAULT_FREEZE_MAX_AGE = 200_000_000
WRAPAROUND_XIDS = 2**31

# Messages a second by plan, as https://supabase.com/docs/guides/realtime/limits gives them (November 2026).
REALTIME_QUOTAS = {"Free": 100, "Pro": 500, "Pro without spend cap, Team": 2_500}


@dataclass(frozen=True, slots=True)
class Wish:
    """The rate, and what a run is."""

    runs_per_second: float
    tasks_per_run: float
    events_per_run: float
    freeze_max_age: int = DEFAULT_FREEZE_MAX_AGE

    @property
    def tasks_per_second(self) -> float:
        """The rate in tasks."""
        return self.runs_per_second * self.tasks_per_run


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; Nones with a reason where it rests on what was not measured. `exact` ones have no interval."""

    name: str
    unit: str
    value: float | None
    interval: tuple[float, float] | None
    rests_on: str
    exact: bool = False
    reason: str | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """Realtime's published limit of one plan, and what part of it is asked for."""

    plan: str
    messages_per_second: int
    share: float

    @property
    def fits(self) -> bool:
        """Whether the events of one listener a run fit."""
        return self.share <= 1


def figures(wish: Wish, costs: Mapping[str, Cost]) -> Iterator[Figure]:
    """Every figure of a plan.

    Args:
        costs: by the names of `costs.costs_of`.
    """
    rate = wish.tasks_per_second
    yield _exact("tasks_per_second", "tasks/s", rate, "runs/s x tasks of a run")
    yield _scaled("server_cores", "cores", rate / NS_PER_SECOND, costs["server_cpu_ns"],
                  "server CPU a task, workers kept busy")  # fmt: skip
    yield _scaled("client_cores", "cores", rate / NS_PER_SECOND, costs["client_cpu_ns"],
                  "CPU of our workers a task; a handler's work comes on top")  # fmt: skip
    yield _scaled("connections", "connections", rate / NS_PER_SECOND, costs["executing_ns"],
                  "time that a task has a backend execute, as busy as the server was: the least")  # fmt: skip
    yield _scaled("wal_mb_per_second", "MB/s", rate / BYTES_PER_MB, costs["wal_bytes"],
                  "WAL a task, full-page images of a short window among it")  # fmt: skip
    yield _scaled("wal_gb_per_day", "GB/day", rate * SECONDS_PER_DAY / BYTES_PER_GB, costs["wal_bytes"],
                  "the same")  # fmt: skip
    yield _scaled("growth_gb_per_day", "GB/day", rate * SECONDS_PER_DAY / BYTES_PER_GB, costs["growth_bytes"],
                  "files' growth a task: pgflow deletes nothing")  # fmt: skip
    yield _scaled("xids_per_day", "XIDs/day", rate * SECONDS_PER_DAY, costs["xids"], "XIDs a task")
    yield _days("days_to_freeze", rate, costs["xids"], wish.freeze_max_age,
                f"XIDs a task; autovacuum_freeze_max_age {wish.freeze_max_age:,}")  # fmt: skip
    yield _inverse("most_tasks_per_second_of_one_run", "tasks/s", NS_PER_SECOND, costs["hold_ns"],
                   "how long a task holds its run's row")  # fmt: skip
    yield _exact("events_per_second", "events/s", wish.runs_per_second * wish.events_per_run,
                 "runs/s x events of a completed run")  # fmt: skip


def quotas(wish: Wish) -> list[Quota]:
    """The events against each published quota, with one listener a run: a message counts once more for each other."""
    events = wish.runs_per_second * wish.events_per_run
    return [Quota(plan, limit, events / limit) for plan, limit in REALTIME_QUOTAS.items()]


def _exact(name: str, unit: str, value: float, rests_on: str) -> Figure:
    return Figure(name, unit, value, (value, value), rests_on, exact=True)


def _scaled(name: str, unit: str, factor: float, cost: Cost, rests_on: str) -> Figure:
    if cost.estimate is None:
        return Figure(name, unit, None, None, rests_on, reason=cost.reason)
    ends = None if cost.interval is None else (factor * cost.interval[0], factor * cost.interval[1])
    return Figure(name, unit, factor * cost.estimate, ends, rests_on, reason=cost.reason, n=cost.n)


def _inverse(name: str, unit: str, dividend: float, cost: Cost, rests_on: str) -> Figure:
    if cost.estimate is None:
        return Figure(name, unit, None, None, rests_on, reason=cost.reason)
    ends = None if cost.interval is None else (dividend / cost.interval[1], dividend / cost.interval[0])
    return Figure(name, unit, dividend / cost.estimate, ends, rests_on, reason=cost.reason, n=cost.n)


def _days(name: str, rate: float, cost: Cost, xids: int, rests_on: str) -> Figure:
    return _inverse(name, "days", xids / (rate * SECONDS_PER_DAY), cost, rests_on)
