"""The search for the highest rate that holds, as a pure function of the path so far: what to measure next, or the end.

1. *doubling*: from the first rate up until a window does not hold, or down until one does;
2. *probes*: half of them spread over that bracket, the other half close round what the first half found, each half in
   random order, so that what drifts with time does not look like what rises with the rate;
3. *confirmation*: fresh windows from a step above the fit downwards; the answer is the first rate at which three of
   three hold.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pgflow_stress.analysis.crossing import Crossing, Point, crossing

CONFIRMATIONS = 3
STEP = 0.01
_SMALL_STEPS = 4  # after as many each is twice the one before: then the fit was wrong
_MOST_INVALID = 2  # windows of one rate that say nothing, before it is left
_MOST_STEP = 0.5
_CLOSE = 0.10  # of the rate, on either side of the first half's crossing


class Phase(StrEnum):
    """Parts of the search."""

    DOUBLING = "doubling"
    PROBE = "probe"
    CONFIRM = "confirm"


class Outcome(StrEnum):
    """What became of a window."""

    HELD = "held"
    UNDECIDED = "cannot tell"  # nothing that was seen fails, but its backlog may grow: not for a confirming window
    FAILED = "did not hold"
    INVALID = "invalid"  # it says nothing about the server


class Ended(StrEnum):
    """Why there is nothing more to ask."""

    CONFIRMED = "confirmed"
    HOLDS_AT_MOST = "holds at the highest rate allowed"
    CLIENT_BOUND = "the client is the limit"
    NOTHING_HOLDS = "nothing holds at the lowest rate allowed"
    UNDECIDED = "what is above could not be told by windows this long"
    NOT_CONFIRMED = "no rate was confirmed"
    BUDGET = "the budget is spent"


@dataclass(frozen=True, slots=True)
class Rules:
    """Bounds and sizes of a search; rates are runs a second."""

    first_per_second: float
    least_per_second: float
    most_per_second: float
    probes: int = 8
    step: float = STEP  # down, after a rate that was not confirmed
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Ask:
    """The next window."""

    phase: Phase
    per_second: float


@dataclass(frozen=True, slots=True)
class Told:
    """A window that was measured: at the rate that was asked for."""

    phase: Phase
    per_second: float
    outcome: Outcome
    excess: float | None = None  # log of the worst latency over its limit


@dataclass(frozen=True, slots=True)
class Finish:
    """The end: the answer, None where there is none."""

    ended: Ended
    per_second: float | None


def ask(rules: Rules, path: Sequence[Told], windows_left: int | None = None) -> Ask | Finish:
    """What to measure next.

    Args:
        rules: of this search.
        path: every window so far, in order.
        windows_left: how many more the budget has room for; None: any number. The last three are kept for confirming.
    """
    may_explore = windows_left is None or windows_left > CONFIRMATIONS
    confirming = any(told.phase is Phase.CONFIRM for told in path)
    if not confirming:
        asked = _doubling(rules, path)
        if isinstance(asked, Finish) or (asked is not None and may_explore):
            return asked
        if asked is None and may_explore and (probe := _probe(rules, path)) is not None:
            return probe
    asked = _confirm(rules, path)
    if isinstance(asked, Ask) and windows_left is not None and windows_left < 1:
        return Finish(Ended.BUDGET, None)
    return asked


def fit(path: Sequence[Told]) -> Crossing | None:
    """The crossing that the windows of a path show, those that say nothing left out."""
    return crossing([Point(t.per_second, _stood(t), t.excess) for t in path if t.outcome is not Outcome.INVALID])


def _stood(told: Told) -> bool:
    """Whether nothing in it failed: good enough to explore by."""
    return told.outcome in (Outcome.HELD, Outcome.UNDECIDED)


def _doubling(rules: Rules, path: Sequence[Told]) -> Ask | Finish | None:
    """The next of the doubling; None where it is done."""
    mine = [told for told in path if told.phase is Phase.DOUBLING]
    held = [told.per_second for told in mine if _stood(told)]
    others = [told.per_second for told in mine if not _stood(told)]
    if not mine:
        return Ask(Phase.DOUBLING, _within(rules, rules.first_per_second))
    if not others:
        top = max(held)
        return None if top >= rules.most_per_second else Ask(Phase.DOUBLING, _within(rules, 2 * top))
    if not held:
        bottom = min(others)
        if bottom <= rules.least_per_second:
            failed = any(told.outcome is Outcome.FAILED for told in mine)
            return Finish(Ended.NOTHING_HOLDS if failed else Ended.CLIENT_BOUND, None)
        return Ask(Phase.DOUBLING, _within(rules, bottom / 2))
    return None


def _probe(rules: Rules, path: Sequence[Told]) -> Ask | None:
    """The next probe; None where they are done, or where nothing failed that could be found exactly."""
    doubling = [told for told in path if told.phase is Phase.DOUBLING]
    low = max(told.per_second for told in doubling if _stood(told))
    beyond = [told.per_second for told in doubling if not _stood(told)]
    if not beyond:
        return None
    done = sum(told.phase is Phase.PROBE for told in path)
    first_half = rules.probes - rules.probes // 2
    if done >= rules.probes:
        return None
    if done < first_half:
        return Ask(Phase.PROBE, _drawn(rules, low, min(beyond), first_half, "wide")[done])
    before = [told for told in path if told.phase is Phase.DOUBLING]
    before += [told for told in path if told.phase is Phase.PROBE][:first_half]
    found = fit(before)
    centre = found.per_second if found else max(t.per_second for t in before if _stood(t))
    rates = _drawn(rules, centre * (1 - _CLOSE), centre * (1 + _CLOSE), rules.probes - first_half, "close")
    return Ask(Phase.PROBE, rates[done - first_half])


def _drawn(rules: Rules, low: float, high: float, count: int, which: str) -> list[float]:
    """Rates between two, one in each of equal parts of the log scale, in random order; the same for the same seed."""
    generator = random.Random(f"{rules.seed} {which}")
    rates = [_within(rules, low * (high / low) ** ((part + generator.random()) / count)) for part in range(count)]
    generator.shuffle(rates)
    return rates


def _confirm(rules: Rules, path: Sequence[Told]) -> Ask | Finish:
    mine = [told for told in path if told.phase is Phase.CONFIRM]
    if not mine:
        return _first_to_confirm(rules, path)
    rate = mine[-1].per_second
    of_rate = [told.outcome for told in mine if told.per_second == rate]
    if of_rate.count(Outcome.HELD) >= CONFIRMATIONS:
        return Finish(_why(rules, path, rate), rate)
    if {Outcome.FAILED, Outcome.UNDECIDED}.isdisjoint(of_rate) and of_rate.count(Outcome.INVALID) <= _MOST_INVALID:
        return Ask(Phase.CONFIRM, rate)
    left = len({told.per_second for told in mine})
    lower = rate * (1 - min(_MOST_STEP, rules.step * 2 ** max(0, left - _SMALL_STEPS)))
    if (found := fit(path)) is not None:
        lower = min(lower, found.per_second)
    if lower < rules.least_per_second:
        return Finish(Ended.NOT_CONFIRMED, None)
    return Ask(Phase.CONFIRM, float(f"{lower:.4g}"))


def _first_to_confirm(rules: Rules, path: Sequence[Told]) -> Ask | Finish:
    held = [told.per_second for told in path if _stood(told)]
    if not held:
        return Finish(Ended.BUDGET, None)
    found = fit(path)
    if found is None:  # nothing failed: as far as it went
        return Ask(Phase.CONFIRM, max(held))
    return Ask(Phase.CONFIRM, _within(rules, found.per_second * (1 + rules.step)))


def _why(rules: Rules, path: Sequence[Told], rate: float) -> Ended:
    """What stands above the answer: a rate that does not hold, the client, the highest one allowed, or nothing told."""
    above = {told.outcome for told in path if told.per_second >= rate}
    if Outcome.FAILED in above:
        return Ended.CONFIRMED
    if Outcome.INVALID in above:
        return Ended.CLIENT_BOUND
    if rate >= rules.most_per_second:
        return Ended.HOLDS_AT_MOST
    return Ended.UNDECIDED if Outcome.UNDECIDED in above else Ended.BUDGET


def _within(rules: Rules, rate: float) -> float:
    """Within the bounds, in four digits: more would only be noise in a name."""
    return min(rules.most_per_second, max(rules.least_per_second, float(f"{rate:.4g}")))
