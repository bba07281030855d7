"""The timeline of one repetition's faults: a thread of the coordinator that starts each strike in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import psycopg

from pgflow_stress.core.result import Incident
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.event_rows import Cut
from pgflow_stress.engine.faults import FAULTS
from pgflow_stress.engine.faults.base import Blow, Ground, Missed
from pgflow_stress.scenario.faults import Strike
from pgflow_stress_hot.clock import monotonic_ns

_END_SECONDS = 15.0  # that a strike is waited for after the work: a server that is being started again
NOT_STRUCK = "the work was done before its time"


class Injector:
    """Strikes from `begin` to `end`; then `blows` says what became of each."""

    def __init__(self, ground: Ground, strikes: Sequence[Strike]) -> None:
        """Nothing strikes yet."""
        self._blows = tuple(Blow(strike) for strike in strikes)
        self._ground = ground
        self._threads: list[threading.Thread] = []
        self._dispatcher = threading.Thread(target=self._dispatch, name="faults", daemon=True)
        self._began_ns = 0
        self._told: set[int] = set()
        self._lasting: set[int] = set()  # likewise, that they have begun

    @property
    def blows(self) -> tuple[Blow, ...]:
        """What became of each; of what comes again and again only as often as it came."""
        return tuple(
            blow for blow in self._blows if blow.strike.spec.every_seconds is None or blow.struck_ns or blow.why
        )

    def begin(self) -> None:
        """The process phase begins now."""
        self._began_ns = monotonic_ns()
        self._dispatcher.start()

    def cancel(self) -> None:
        """Nothing strikes any more, what lasts ends; does not wait for it."""
        self._ground.over.set()

    def end(self) -> None:
        """The process phase is over, or cut short: nothing strikes any more, what lasts ends; returns when it has."""
        self.cancel()
        if not self._began_ns:
            return
        self._dispatcher.join(_END_SECONDS)
        for thread in list(self._threads):
            thread.join(_END_SECONDS)
        for blow in self._blows:
            if not blow.struck_ns and not blow.why and blow.strike.spec.every_seconds is None:
                blow.why = NOT_STRUCK

    @property
    def active(self) -> bool:
        """Whether a fault is at work: what stands still meanwhile stands still because of it."""
        return any(thread.is_alive() for thread in list(self._threads))

    @property
    def keeps_at_work(self) -> bool:
        """Whether a fault is at work after which there may be more to do than there seems to be."""
        return self._ground.keeps_at_work

    def notes(self) -> list[str]:
        """A line for each fault that took hold, or did not, since this was last asked for."""
        lines = []
        for blow in self.blows:
            number = blow.strike.number
            if number not in self._told and (blow.ended_ns or blow.why):
                self._told.add(number)
                lines.append(in_words(blow))
            elif number not in self._told | self._lasting and _lasts(blow):
                self._lasting.add(number)
                lines.append(f"{_what(blow)} lasts")
        return lines

    def _dispatch(self) -> None:
        for blow in self._blows:
            due_ns = self._began_ns + round(blow.strike.at_seconds * NS_PER_SECOND)
            if self._ground.over.wait(max(0.0, (due_ns - monotonic_ns()) / NS_PER_SECOND)):
                return
            thread = threading.Thread(target=self._strike, args=(blow,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _strike(self, blow: Blow) -> None:
        try:
            FAULTS[blow.strike.spec.name].strike(self._ground, blow)
        except Missed as why:
            blow.why = str(why)
        except (psycopg.Error, OSError, KeyError) as error:  # KeyError: its worker was replaced at that moment
            blow.why = f"{type(error).__name__}: {error}".splitlines()[0]
        if not blow.took_hold:  # it explains nothing
            self._ground.crew.unplan(blow.planned)
        blow.ended_ns = monotonic_ns() if blow.struck_ns else 0
        if not blow.struck_ns and self._ground.over.is_set():
            blow.why = NOT_STRUCK if blow.strike.spec.every_seconds is None else ""


def cuts(blows: Sequence[Blow]) -> tuple[Cut, ...]:
    """The faults that took hold and took the observer's connection with them."""
    return tuple(
        Cut(f"{blow.strike.number} {blow.strike.spec.text}", blow.struck_ns, blow.ended_ns)
        for blow in blows
        if blow.took_hold and FAULTS[blow.strike.spec.name].cuts_all
    )


def restarted(blows: Sequence[Blow]) -> bool:
    """Whether the server is another one than before."""
    return any(blow.struck_ns and FAULTS[blow.strike.spec.name].own_server for blow in blows)


def in_words(blow: Blow) -> str:
    """What became of a strike, in a line."""
    return f"{_what(blow)} took hold" if blow.took_hold else f"{_what(blow)} did not take hold: {blow.why}"


def _what(blow: Blow) -> str:
    on = f" on {blow.subject}" if blow.subject else ""
    return f"fault {blow.strike.number} {blow.strike.spec.text}{on}"


def _lasts(blow: Blow) -> bool:
    kind = FAULTS[blow.strike.spec.name]
    return blow.struck_ns > 0 and (kind.lasts_seconds is not None or kind.own_server)


def incidents(blows: Sequence[Blow], origin_ns: int) -> list[Incident]:
    """A line of the result for each."""
    return [
        Incident(
            "fault injected" if blow.took_hold else "fault did not take hold",
            max(0, blow.struck_ns - origin_ns) if blow.struck_ns else 0,
            blow.subject or blow.strike.spec.name,
            f"{blow.strike.number} {blow.strike.spec.text}" + (f": {blow.why}" if blow.why else ""),
        )
        for blow in blows
    ]
