"""What a search found: every window of its path, the answer, the fit, and what stands above the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pgflow_stress.analysis.crossing import Crossing
from pgflow_stress.analysis.holding import Held, Seen
from pgflow_stress.analysis.searching import CONFIRMATIONS, Ended, Outcome, Phase, Told, fit
from pgflow_stress.core.result import Json

SCHEMA = "pgflow-stress/find-max/1"
_SURE = frozenset({Ended.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Window:
    """One window of the path: what was asked, what was seen, whether it held."""

    phase: Phase
    per_second: float
    seconds: float
    runs: int  # that its schedule had
    seed: int
    isolation: str
    at_seconds: float  # from the search's begin
    seen: Seen
    held: Held
    folder: str | None = None

    @property
    def told(self) -> Told:
        """What the search is told."""
        return Told(self.phase, self.per_second, self.held.outcome, self.held.excess)

    def as_json(self, index: int) -> Json:
        """As the document has it."""
        grown = self.seen.growth
        return {
            "index": index,
            "phase": str(self.phase),
            "per_second": self.per_second,
            "seconds": self.seconds,
            "runs": self.runs,
            "outcome": str(self.held.outcome),
            "reasons": list(self.held.reasons),
            "latencies_ns": dict(self.seen.latencies_ns),
            "excess": self.held.excess,
            "backlog_growth": asdict(grown) if grown else None,
            "undrained_tasks": self.seen.undrained,
            "lost": list(self.seen.lost),
            "late_share": self.seen.late_share,
            "seed": self.seed,
            "isolation": self.isolation,
            "at_seconds": self.at_seconds,
            "folder": self.folder,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search."""

    windows: tuple[Window, ...]
    ended: Ended | None  # None: it was broken off
    per_second: float | None  # runs started a second that held in every confirming window
    tasks_per_run: int

    @property
    def is_sure(self) -> bool:
        """Whether it is known that this rate holds and what is above does not."""
        return self.ended in _SURE

    @property
    def crossing(self) -> Crossing | None:
        """The fit of all windows."""
        return fit([window.told for window in self.windows])

    @property
    def highest_held(self) -> float | None:
        """Of any window, confirmed or not."""
        held = [window.per_second for window in self.windows if window.held.outcome is Outcome.HELD]
        return max(held, default=None)

    @property
    def limited_by(self) -> tuple[str, ...]:
        """Why the lowest rate above the answer that did not hold did not; empty where none is known."""
        least = self.per_second or 0.0
        above = [w for w in self.windows if w.per_second >= least and w.held.outcome is not Outcome.HELD]
        return min(above, key=lambda window: window.per_second).held.reasons if above else ()

    def as_json(self) -> Json:
        """The part of the document that is found out."""
        fitted = self.crossing
        return {
            "answer": {
                "per_second": self.per_second,
                "tasks_per_second": None if self.per_second is None else self.per_second * self.tasks_per_run,
                "confirmed_in": None if self.per_second is None else [CONFIRMATIONS, CONFIRMATIONS],
                "sure": self.is_sure,
                "ended": None if self.ended is None else str(self.ended),
                "highest_held_per_second": self.highest_held,
            },
            "estimate": None
            if fitted is None
            else {"per_second": fitted.per_second, "ci95": [fitted.low, fitted.high], "method": fitted.method},
            "limited_by": list(self.limited_by),
            "path": [window.as_json(index) for index, window in enumerate(self.windows)],
        }


def told(windows: Sequence[Window]) -> list[Told]:
    """The path as the search reads it."""
    return [window.told for window in windows]
