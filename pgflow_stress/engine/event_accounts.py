"""Every event accounted for: what should have been sent, what is stored, what was received; the differences have names.

What should have been sent comes from the flow's shape for runs that completed, and from their final rows for all
others, so that a run that was cut short loses nothing. The three are compared by id: run, step and what happened to it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from pgflow_stress.core.arena import MOST_GAPS, MOST_STRAYS, Arena, EventBit, LedgerBit, Word
from pgflow_stress.core.events import EVENT_TYPES, EventKind, kind_at, place_in_run, step_at
from pgflow_stress.core.ids import run_id
from pgflow_stress.core.result import Check
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.carried import CARRIED, Carrier, missing
from pgflow_stress.engine.event_rows import Counts, EventInput, EventRows, Flags
from pgflow_stress.engine.invariants import MOST_IDS, offended
from pgflow_stress.engine.realtime_answers import RATE_LIMIT, unallowed
from pgflow_stress.engine.sizing import observer_regions
from pgflow_stress.scenario.events import completed_run_places
from pgflow_stress.scenario.flow import FlowShape

_AROUND_A_GAP_NS = NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Difference:
    """Events to which the same happened; `ids` are all of them up to a number."""

    name: str
    count: int
    ids: tuple[str, ...]
    detail: str = ""
    fault: bool = True  # fails the accounting


@dataclass(frozen=True, slots=True)
class EventFindings:
    """The three counts by type, and what is between them."""

    expected: dict[str, int]
    stored: dict[str, int]
    received: dict[str, int]
    missing: int
    duplicate: int
    unexpected: int
    differences: tuple[Difference, ...]
    checks: tuple[Check, ...] = field(default=())


def account_for_events(connection: psycopg.Connection[Any], given: EventInput) -> EventFindings:
    """Compare the three, within the caller's snapshot.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    return _Accountant(connection, given).run()


class _Accountant:
    def __init__(self, connection: psycopg.Connection[Any], given: EventInput) -> None:
        self._given = given
        self._places = given.arena.size.places
        self._work = given.work
        self._shape_of_all = (given.work.runs, self._places)
        self._shape_of_run = np.array(given.work.shape_of, dtype=np.int64)[given.work.run_flow()]
        self._rows = EventRows(connection, given)
        self._book = self._rows.book
        self._names = [_names(shape, self._places) for shape in given.work.shapes]
        self._received: Counts = given.arena.received & np.uint8(EventBit.COUNT)
        self._differences: list[Difference] = []
        self._carrier = Carrier(connection)
        self._received_strays = self._carrier.sort(
            f"{self._run_id(int(stray['run_index']))} {stray['event'].decode(errors='replace')}"
            for stray in given.arena.strays
            for _ in range(int(stray["count"]))
        )

    def run(self) -> EventFindings:
        by_rows, completed, unjudged = self._rows.final()
        by_shape = np.zeros((len(self._work.shapes), self._places), dtype=bool)
        for index, shape in enumerate(self._work.shapes):
            places = completed_run_places(shape)
            by_shape[index, : len(places)] = places
        expected = np.where(completed[:, None], by_shape[self._shape_of_run], by_rows)
        disagreeing = (by_rows != expected) & completed[:, None] & ~unjudged[:, None]
        stored, stored_words = self._rows.stored()
        expected[unjudged] = stored[unjudged] > 0  # whatever such a run sends, it is to be received
        by_type, stored_strays = self._carry(stored_words)
        misnamed = self._rows.misnamed()
        self._compare(expected, stored, misnamed)
        unexpected = self._unexpected(expected, stored, stored_strays, misnamed)
        duplicate = self._doubles(stored)
        self._out_of_order()
        late = sum(one.count for one in self._differences if one.name == _LATE)
        unreceived = int(np.count_nonzero(expected & (self._received == 0))) - late
        checks = [
            Check(_AGREE, not disagreeing.any(), 0, int(disagreeing.sum()), self._ids(disagreeing)),
            *self._checks(),
            *self._answered(),
            offended(_SAYS, self._rows.misstated()),
        ]
        return EventFindings(
            self._by_type(expected),
            self._by_type(stored) | by_type,
            self._by_type(self._received) | self._received_strays.carried,
            unreceived,
            duplicate,
            unexpected,
            tuple(self._differences),
            tuple(checks),
        )

    def _carry(self, stored_words: Sequence[str]) -> tuple[dict[str, int], Sequence[str]]:
        """(how many there are of each type that only pgflow knows, the rest)."""
        stored, received = self._carrier.sort(stored_words), self._received_strays
        self._add(CARRIED, len(stored.carried_words), stored.carried_words[:MOST_IDS], fault=False)
        # Only so many are received by name: of more it is not known which were not.
        if self._given.arrived and sum(received.carried.values()) + len(received.strays) < MOST_STRAYS:
            lost = missing(stored, received)
            self._add("stored but not received", len(lost), lost, CARRIED)
        return stored.carried, stored.strays

    def _compare(self, expected: Flags, stored: Counts, misnamed: dict[str, list[tuple[str, int]]]) -> None:
        given = self._given
        elsewhere = np.zeros(self._shape_of_all, dtype=bool)
        for name, rows in misnamed.items():
            places = [place for _, place in rows if place >= 0]
            elsewhere.reshape(-1)[places] = True
            self._add(name, len(rows), [text for text, _ in rows[:MOST_IDS]])
        unstored = expected & (stored == 0) & ~elsewhere
        count = int(np.count_nonzero(unstored & (self._received == 0)))
        refused = min(count, given.warnings)
        ids = self._ids(unstored & (self._received == 0))
        if refused and refused == count:
            self._add("sent but not stored", count, ids, given.warning)
        elif refused:
            self._add("sent but not stored", refused, (), f"{given.warning}; which of those never sent is not known")
            self._add("never sent", count - refused, ids)
        else:
            self._add("never sent", count, ids)
        received_only = unstored & (self._received > 0)
        self._add("received but not stored", int(np.count_nonzero(received_only)), self._ids(received_only))
        self._unreceived(expected & (stored > 0) & (self._received == 0))

    def _answered(self) -> Iterable[Check]:
        """Of Supabase Realtime: nothing but events, and what was allowed."""
        given = self._given
        if given.transport == "realtime":
            found = unallowed(given.answers, allow_rate_limit=given.allow_rate_limit)
            told = tuple(f"{kind}: {count}" for kind, count in found.items())
            yield Check(ANSWERED, not found, 0, sum(found.values()), told)

    def _unreceived(self, places: Flags) -> None:
        given = self._given
        if given.allow_rate_limit and given.answers.get(RATE_LIMIT):
            count = int(np.count_nonzero(places))
            self._add(LIMITED, count, self._ids(places), f"{given.answers[RATE_LIMIT]} answers", fault=False)
            return
        gaps = gaps_of(given.arena)
        cut = [gap for gap in gaps if any(gap[0] <= one.to_ns and one.from_ns <= gap[1] for one in given.cuts)]
        by_fault = self._in_a_gap(places, cut)
        faults = ", ".join(one.fault for one in given.cuts)
        self._add(CUT, int(np.count_nonzero(by_fault)), self._ids(by_fault), faults, fault=False)
        away = self._in_a_gap(places, gaps) & ~by_fault
        self._add("lost while the observer was away", int(np.count_nonzero(away)), self._ids(away))
        rest = places & ~away & ~by_fault
        if given.arrived or given.lost:
            self._add("stored but not received", int(np.count_nonzero(rest)), self._ids(rest), given.lost)
        else:
            self._add(_LATE, int(np.count_nonzero(rest)), self._ids(rest), fault=False)

    def _in_a_gap(self, places: Flags, gaps: Sequence[tuple[int, int]]) -> Flags:
        """Events of a transport without replay whose statement was under way while its observer was away."""
        found = np.zeros_like(places)
        if not gaps:
            return found
        margin_ns = _AROUND_A_GAP_NS + int(self._given.arena.words[:, Word.LONGEST_CYCLE_NS].max())
        flat = found.reshape(-1)
        for place in np.flatnonzero(places):
            sent_ns = self._book.cause_ns(int(place))
            flat[place] = not sent_ns or any(begin - margin_ns <= sent_ns <= end for begin, end in gaps)
        return found

    def _unexpected(
        self, expected: Flags, stored: Counts, strays: Sequence[str], misnamed: dict[str, list[tuple[str, int]]]
    ) -> int:
        places = ~expected & ((stored > 0) | (self._received > 0))
        received_strays = self._received_strays.strays
        words = self._given.arena.words[list(observer_regions(self._given.arena.size))]
        received_count = int(words[:, Word.RECEIVED_STRAY].sum()) - sum(self._received_strays.carried.values())
        mistyped = len(misnamed["wrong type"])
        in_places = int(np.count_nonzero(places))
        total = max(len(strays), received_count) + in_places + len(misnamed["wrong topic"])
        # A row of a wrong type is a stray or an event in another's place: told once, by what is wrong with it.
        unexplained = max(0, max(len(strays), received_count) + in_places - mistyped)
        ids = [*self._ids(places), *(strays if len(strays) >= len(received_strays) else received_strays)]
        self._add("unexpected", unexplained, ids[:MOST_IDS])
        return total

    def _doubles(self, stored: Counts) -> int:
        """How many more than one of each there are, without those that pgflow itself sends twice."""
        own = self._doubled_by_pgflow(stored)
        more_stored = np.maximum(stored.astype(np.int64) - 1, 0)
        more_received = np.maximum(self._received.astype(np.int64) - np.maximum(stored, 1), 0)
        mine = own & (more_stored > 0)
        self._add(DOUBLED, int(more_stored[mine].sum()), self._ids(mine), fault=False)
        twice = ~own & (more_stored > 0)
        self._add("stored twice", int(more_stored[twice].sum()), self._ids(twice))
        again = more_received > 0
        self._add("received twice", int(more_received[again].sum()), self._ids(again))
        return int(more_stored[twice].sum() + more_received[again].sum())

    def _doubled_by_pgflow(self, stored: Counts) -> Flags:
        # pgflow 0.8 sends step:completed again for every complete_task that is repeated; two tasks that fail for good
        # at once fail their run twice.
        own = np.zeros(self._shape_of_all, dtype=bool)
        doubled = stored > 1
        if not doubled.any():
            return own
        ledger = self._given.arena.ledger
        self._mark_steps(own, (ledger & LedgerBit.TWICE) > 0, EventKind.STEP_COMPLETED, 1)
        # A fail_task that waited for one that failed the step or the run says so again.
        attempts = ledger // LedgerBit.FAILED
        self._mark_steps(own, attempts, EventKind.STEP_FAILED, 2)
        failed = place_in_run(EventKind.RUN_FAILED)
        if doubled[:, failed].any():
            own[self._sums(attempts) > 1, failed] = True
            for runs, failures in self._rows.failed_tasks():
                own[runs[(failures > 1) & (runs < self._work.runs)], failed] = True
        return own & doubled

    def _sums(self, of_tasks: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """int64[runs]: the sum over each run's tasks."""
        first = self._given.arena.first_task
        sums = np.concatenate([[0], np.cumsum(of_tasks, dtype=np.int64)])
        found: npt.NDArray[np.int64] = sums[first[1:]] - sums[first[:-1]]
        return found

    def _mark_steps(self, own: Flags, of_tasks: npt.NDArray[Any], kind: EventKind, least: int) -> None:
        """Mark a kind of event of each step over whose tasks the sum is at least so much."""
        arena, work = self._given.arena, self._work
        marked = np.flatnonzero(of_tasks)
        if not len(marked):
            return
        flow_steps, offsets = work.flow_steps(), np.array(work.step_offsets(), dtype=np.int64)
        found: dict[tuple[int, int], int] = {}
        for place in marked.tolist():
            run = int(np.searchsorted(arena.first_task, place, side="right")) - 1
            first, count = (int(value) for value in flow_steps[arena.run_flow[run]])
            rest = place - int(arena.first_task[run])
            step = int(np.searchsorted(offsets[first : first + count], rest, side="right")) - 1
            found[run, step] = found.get((run, step), 0) + int(of_tasks[place])
        for (run, step), total in found.items():
            own[run, place_in_run(kind, step)] |= total >= least

    def _out_of_order(self) -> None:
        early = (self._given.arena.received & EventBit.EARLY) > 0
        flat = early.reshape(-1)
        for place in np.flatnonzero(early):
            # Where what it follows from never came, that is missing, and this one not out of order.
            flat[place] = self._book.follows(int(place))
        self._add("out of order", int(np.count_nonzero(early)), self._ids(early))

    def _add(self, name: str, count: int, ids: Iterable[str], detail: str = "", *, fault: bool = True) -> None:
        if count:
            self._differences.append(Difference(name, count, tuple(ids), detail, fault))

    def _checks(self) -> Iterable[Check]:
        for check, names in _CHECKS.items():
            found = [one for one in self._differences if one.name in names and one.fault]
            ids = [f"{one.name}: {text}" for one in found for text in one.ids]
            yield Check(check, not found, 0, sum(one.count for one in found), tuple(ids[:MOST_IDS]))

    def _by_type(self, counts: npt.NDArray[Any]) -> dict[str, int]:
        by_place = counts.sum(axis=0, dtype=np.int64)
        found = dict.fromkeys(EVENT_TYPES, 0)
        for place, count in enumerate(by_place):
            found[EVENT_TYPES[kind_at(place)]] += int(count)
        return {name: count for name, count in found.items() if count}

    def _ids(self, places: Flags) -> tuple[str, ...]:
        runs, of_run = np.nonzero(places)
        pairs = zip(runs[:MOST_IDS].tolist(), of_run[:MOST_IDS].tolist(), strict=True)
        return tuple(f"{self._run_id(run)} {self._names[self._shape_of_run[run]][place]}" for run, place in pairs)

    def _run_id(self, run: int) -> uuid.UUID:
        return run_id(self._given.nonce, run)


DOUBLED = "doubled by pgflow"
ANSWERED = "events: Realtime answered nothing but events"
LIMITED = "not sent by Realtime, whose rate limit was reached and allowed"
CUT = "lost while the observer was cut off by a fault"
_LATE = "not received yet"
_CHECKS = {
    "events: every expected one is stored": ("never sent", "sent but not stored", "wrong topic", "wrong type"),
    "events: every stored one is received": (
        "stored but not received",
        "lost while the observer was away",
        "received but not stored",
    ),
    "events: none twice": ("stored twice", "received twice"),
    "events: none unexpected": ("unexpected",),
    "events: in order within a run": ("out of order",),
}
_AGREE = "events: final rows and the flow's shape agree"
_SAYS = "events: payload says what the final rows say"
EVENT_CHECKS = (_AGREE, *_CHECKS, _SAYS)


def gaps_of(arena: Arena) -> list[tuple[int, int]]:
    """When an observer without replay was away: (from, to), CLOCK_MONOTONIC ns."""
    regions = list(observer_regions(arena.size))
    count = min(MOST_GAPS, int(arena.words[regions, Word.GAPS].sum()))
    return [(int(begin), int(end)) for begin, end in arena.gaps[:count]]


def _names(shape: FlowShape, places: int) -> list[str]:
    """Every event's name by its place; places beyond the shape's own are nobody's."""
    found = []
    for place in range(places):
        what, step = EVENT_TYPES[kind_at(place)], step_at(place)
        slug = shape.steps[step].slug if step < len(shape.steps) else "?"
        found.append(what if step < 0 else re.sub("^step:", f"step:{slug}:", what))
    return found
