"""The interferences of one repetition, as the coordinator sees them: a process each, told when, asked what they saw.

Before the window: the bystander alone (`before`), then with them (`held`). In it: with load (`during`); those that have
a time of their own are told by a thread. After it they are ended, and the bystander goes on until it is as fast as
before (`after`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pgflow_stress.core.arena import Arena, Word
from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.result import Incident, Json
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.engine.completion_series import completed_ns
from pgflow_stress.engine.interference.bystander import NAME as BYSTANDER
from pgflow_stress.engine.interference.process import ask
from pgflow_stress.engine.interrupts import Interrupts
from pgflow_stress.engine.nursery import Nursery
from pgflow_stress.engine.orders import InterferenceOrder, Role
from pgflow_stress.scenario.interference import InterferenceSpec
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Database, Isolation
from pgflow_stress.target.observer_objects import object_name
from pgflow_stress_hot.clock import monotonic_ns

_READY_SECONDS = 10.0
_HOLD_SECONDS = 300.0  # thousands of connections take a while
_ANSWER_SECONDS = 30.0
_HURRIED_SECONDS = 0.5  # where nothing more is waited for
_SPAN_SECONDS = 1.0  # of the bystander alone, and with them before there is load
_LEAST_AFTER_SECONDS, _MOST_AFTER_SECONDS = 1.0, 5.0
_END_SECONDS = 2.0
_LOOK_SECONDS = 0.01
NOT_BEGUN = "the work was done before its time"


@dataclass(slots=True)
class Case:
    """One interference as it happens; stamps are CLOCK_MONOTONIC ns, 0 where it did not come so far."""

    number: int
    spec: InterferenceSpec
    control: str
    pid: int = 0
    from_ns: int = 0
    to_ns: int = 0
    proof: Json = field(default_factory=dict)
    recovery: Json = field(default_factory=dict)
    why: str = ""  # it did not take hold, or not to the end
    backends: tuple[int, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether it has a time of its own within the window."""
        return self.spec.at_seconds is not None

    def tell(self, patience_seconds: float, **command: Any) -> Json:
        """Ask its process; {} with the reason kept where it could not."""
        try:
            answer = ask(self.control, patience_seconds, **command)
        except (OSError, ValueError) as error:
            self.why = self.why or f"its process did not answer: {error}"
            return {}
        self.why = self.why or str(answer.get("why", ""))
        self.backends = tuple(answer.get("backends", self.backends))
        return answer

    def hold(self) -> None:
        """Begin it."""
        answer = self.tell(_HOLD_SECONDS, do="hold")
        if not self.why:
            self.from_ns = int(answer["at_ns"])
            self.proof |= answer["found"]

    def end(self, patience_seconds: float = _ANSWER_SECONDS) -> None:
        """See that it is there still, then end it."""
        if self.from_ns and not self.why:
            self.proof |= self.tell(patience_seconds, do="still").get("found", {})
        self.to_ns = monotonic_ns()
        if self.from_ns:
            held = self.why
            self.recovery = self.tell(patience_seconds, do="release").get("found", {})
            if self.why and not held:
                self.recovery, self.why = {"failed": self.why}, ""

    def as_json(self, origin_ns: int) -> Json:
        """As the result has it."""
        took_hold = bool(self.from_ns) and not self.why
        return {
            "number": self.number,
            "name": self.spec.name,
            "spec": self.spec.text,
            "took_hold": took_hold,
            "why": self.why,
            "proof": self.proof,
            "from_ns": self.from_ns - origin_ns if self.from_ns else None,
            "to_ns": self.to_ns - origin_ns if self.from_ns else None,
            "timed": self.timed,
            "recovery": self.recovery,
        }


class Interfering:
    """Nothing at all where none was asked for."""

    def __init__(
        self, plan: Plan, nursery: Nursery, database: Database, embedded: bool, nonce: int, interrupts: Interrupts
    ) -> None:
        """Fork a process each, and the bystander's."""
        options = plan.options
        self._nursery, self._interrupts = nursery, interrupts
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        asked = options.interference
        specs = [spec for spec in asked if spec.name != BYSTANDER]
        if asked:
            specs = [
                next((one for one in asked if one.name == BYSTANDER), InterferenceSpec(BYSTANDER, BYSTANDER)),
                *specs,
            ]
        self._cases = [Case(number, spec, f"pgflow-stress-{nonce:016x}-{number}") for number, spec in enumerate(specs)]
        self._forked = 0
        for case in self._cases:
            nursery.fork(
                InterferenceOrder(
                    name=case.spec.name,
                    control=case.control,
                    conninfo=database.conninfo,
                    embedded=embedded,
                    slug_prefix=database.slug_prefix,
                    own_name=object_name(nonce),
                    own_database=database.isolation is not Isolation.PREFIX,
                    seed=options.seed,
                    count=case.spec.count,
                )
            )
            self._forked += 1

    @property
    def backends(self) -> tuple[int, ...]:
        """Their sessions': theirs is not the job's cost."""
        return tuple(backend for case in self._cases for backend in case.backends)

    def begin(self) -> None:
        """The bystander alone, then with all that have no time of their own.

        Raises:
            SetUpFault: one did not take hold.
            Interrupted: a signal came.
        """
        if not self._cases:
            return
        self._greet()
        bystander, *others = self._cases
        self._together([bystander])
        self._span("before", _SPAN_SECONDS)
        untimed = [case for case in others if not case.timed]
        self._span("", 0.0)  # while they take hold it is neither before nor with them
        self._together(untimed)
        if untimed:
            self._span("held", _SPAN_SECONDS)
        self._span("during", 0.0)

    def watch(self, arena: Arena) -> None:
        """From now on those with a time of their own are begun and ended, by the process phase's begin."""
        if any(case.timed for case in self._cases):
            self._thread = threading.Thread(target=self._by_time, args=(arena,), name="interference", daemon=True)
            self._thread.start()

    def end(self, *, hurried: bool) -> None:
        """End all of them; see the bystander recover, unless nothing more is waited for."""
        if not self._cases:
            return
        self._over.set()
        patience = _HURRIED_SECONDS if hurried else _ANSWER_SECONDS
        if self._thread is not None:
            self._thread.join(patience)
        bystander, *others = self._cases
        left = [case for case in others if not case.timed]
        threads = [threading.Thread(target=case.end, args=(patience,), daemon=True) for case in left]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * patience)
        bystander.proof |= bystander.tell(patience, do="still").get("found", {})
        bystander.to_ns = monotonic_ns()
        if not hurried:
            self._see_recovery(bystander)

    def told(self, arena: Arena, origin_ns: int) -> Json:
        """What the result says of them; {} where none was asked for."""
        if not self._cases:
            return {}
        bystander = self._cases[0].tell(_ANSWER_SECONDS, do="tell", origin_ns=origin_ns).get("found", {})
        done_ns = completed_ns(arena) if any(case.timed for case in self._cases) else None
        kinds = []
        for case in self._cases:
            kinds.append(case.as_json(origin_ns))
            if case.timed and case.from_ns and done_ns is not None and len(done_ns):
                kinds[-1]["tasks_per_second"] = rates(done_ns, case.from_ns, case.to_ns)
        return {"kinds": kinds, "bystander": bystander}

    def incidents(self, origin_ns: int) -> list[Incident]:
        """A line for each that did not take hold."""
        return [
            Incident(
                "interference did not hold", max(0, (case.from_ns or origin_ns) - origin_ns), case.spec.name, case.why
            )
            for case in self._cases
            if case.why
        ]

    def close(self) -> None:
        """Be rid of them, however they are."""
        self._over.set()
        ended, deadline, untold = 0, time.monotonic() + _END_SECONDS, list(self._cases)
        while ended < self._forked and time.monotonic() < deadline:
            for case in tuple(untold):  # one that was only just forked does not listen yet
                with contextlib.suppress(OSError, ValueError):
                    ask(case.control, _END_SECONDS, do="end")
                    untold.remove(case)
            ended += len(self._nursery.ended(Role.INTERFERER, 0.02))
        if ended < self._forked:
            for case in self._cases:
                if case.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(case.pid, signal.SIGKILL)
            self._nursery.ended(Role.INTERFERER, _END_SECONDS)
        self._cases, self._forked = [], 0

    def _greet(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        for case in self._cases:
            while not case.pid:
                self._interrupts.check()
                try:
                    case.pid = int(ask(case.control, _ANSWER_SECONDS, do="hello")["pid"])
                except OSError:
                    if time.monotonic() > deadline:
                        raise SetUpFault(f"--interference {case.spec.text}: its process did not start") from None
                    time.sleep(_LOOK_SECONDS)

    def _together(self, cases: Sequence[Case]) -> None:
        threads = [threading.Thread(target=case.hold, daemon=True) for case in cases]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._interrupts.check()
            time.sleep(_LOOK_SECONDS)
        for case in cases:
            if case.why:
                raise SetUpFault(f"--interference {case.spec.text} did not take hold: {case.why}")

    def _span(self, name: str, seconds: float) -> None:
        self._cases[0].tell(_ANSWER_SECONDS, do="span", name=name)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._interrupts.check()
            time.sleep(_LOOK_SECONDS)

    def _see_recovery(self, bystander: Case) -> None:
        bystander.tell(_ANSWER_SECONDS, do="span", name="after")
        began = time.monotonic()
        while (waited := time.monotonic() - began) < _MOST_AFTER_SECONDS and not self._interrupts.count:
            found = bystander.tell(_ANSWER_SECONDS, do="recovered").get("found", {})
            if waited >= _LEAST_AFTER_SECONDS and (found.get("recovered_seconds") is not None or bystander.why):
                return
            time.sleep(0.05)

    def _by_time(self, arena: Arena) -> None:
        begun = arena.words[:, Word.PROCESS_FROM_NS]
        while not begun.any():
            if self._over.wait(_LOOK_SECONDS):
                break
        begin_ns = int(begun[begun > 0].min(initial=monotonic_ns()))
        steps = [
            (seconds, is_end, case)
            for case in self._cases
            if case.spec.at_seconds is not None and case.spec.lasts_seconds is not None
            for seconds, is_end in (
                (case.spec.at_seconds, False),
                (case.spec.at_seconds + case.spec.lasts_seconds, True),
            )
        ]
        steps.sort(key=lambda step: step[0])
        for seconds, is_end, case in steps:
            due_ns = begin_ns + round(seconds * NS_PER_SECOND)
            cut_short = self._over.wait(max(0.0, (due_ns - monotonic_ns()) / NS_PER_SECOND))
            if is_end and (case.from_ns or case.why):
                case.end()
                self._cases[0].tell(_ANSWER_SECONDS, do="span", name=f"since {case.spec.name}")
            elif not is_end and not cut_short:
                self._cases[0].tell(_ANSWER_SECONDS, do="span", name=f"with {case.spec.name}")
                case.hold()
        for case in self._cases:
            if case.timed and not case.from_ns:
                case.why = case.why or NOT_BEGUN


def rates(done_ns: Any, from_ns: int, to_ns: int) -> Json:
    """Tasks completed a second before, while and since.

    Args:
        done_ns: int64[n >= 1], ns, ascending.
        from_ns, to_ns: of the interference, on the same clock.
    """
    places = [int(place) for place in done_ns.searchsorted([from_ns, to_ns])]
    parts = {
        "before": (places[0], int(done_ns[0]), from_ns),
        "with": (places[1] - places[0], from_ns, to_ns),
        "since": (len(done_ns) - places[1], to_ns, int(done_ns[-1])),
    }
    return {
        name: count / ((end - begin) / NS_PER_SECOND) if end > begin else None
        for name, (count, begin, end) in parts.items()
    }
