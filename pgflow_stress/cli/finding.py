"""The course of one `find-max`: check, fork, open the target, pilot, then window by window as the search asks."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from pgflow_stress.analysis.found import SCHEMA, Found, Window, told
from pgflow_stress.analysis.holding import judge, seen_of
from pgflow_stress.analysis.searching import CONFIRMATIONS, Ask, Finish, Rules, ask
from pgflow_stress.cli.assemble import Gates, assemble, outcome, target_parameters, tool
from pgflow_stress.cli.exposing import exposed, listening
from pgflow_stress.cli.find_max_request import FindMaxRequest
from pgflow_stress.cli.full import lasting
from pgflow_stress.cli.output import SEARCH_FILE, SearchDestination
from pgflow_stress.cli.progress import QuietWatch, make_watch
from pgflow_stress.cli.running import keep_nothing, surroundings
from pgflow_stress.cli.signals import Patience
from pgflow_stress.cli.streams import complain, say, show
from pgflow_stress.core.errors import StressError
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.result import Json, Repetition
from pgflow_stress.engine.measurement import Ending, Measurement
from pgflow_stress.scenario.options import RunOptions

if TYPE_CHECKING:
    from pgflow_stress.cli.exposing.endpoint import Endpoint
    from pgflow_stress.engine.engine import Engine
    from pgflow_stress.report.directory import ResultDirectory
    from pgflow_stress.target.base import Target

_FIRST_OF_PILOT = 1 / 4
_LEAST_OF_FIRST = 1 / 16
_AROUND_SECONDS = 1.5  # of a window: its database, priming, audit; until some were measured
# After one of these nothing more is asked. A window that was not drained in time or did not add up did not hold.
_LAST = frozenset({ExitCode.INTERRUPTED, ExitCode.RUN_FAILED, ExitCode.SET_UP})
_OWN = frozenset({*_LAST, ExitCode.CHECK_FAILED})


def execute(request: FindMaxRequest) -> ExitCode:
    """Search, tell what was found; the worst code of all of it.

    Raises:
        UsageFault: results could not be written to where they are to go, or a port is taken; nothing was touched.
    """
    name = f"find-max-{request.scenario}"
    with listening(request.run.prometheus) as endpoint:
        destination = SearchDestination(request.run.output, request.run.json, [name, name])
        course = _Course(request, destination, endpoint)
        try:
            try:
                course.search()
            finally:  # what was found before a bug of ours is kept
                course.deliver()
        finally:
            destination.discard_if_empty()
    return course.code()


class _Course:
    """One search's windows and endings, as they come."""

    def __init__(self, request: FindMaxRequest, destination: SearchDestination, endpoint: Endpoint | None) -> None:
        self._request = request
        self._endpoint = endpoint
        self._destination = destination
        self._began = time.monotonic()
        self._windows: list[Window] = []
        self._around: list[float] = []  # seconds of each window that were not its schedule
        self._endings: list[Ending] = []
        self._finish: Finish | None = None
        self._rules: Rules | None = None
        self._pilot: Json | None = None
        self._about: Json = {}
        self._surroundings: Json = {}
        self._parameters: Json = {}

    def search(self) -> None:
        """Ask and measure until the search has its answer; faults become endings."""
        # The engine forks before anything here has a thread or a connection, so what may have one is imported after.
        from pgflow_stress.engine.engine import Engine  # noqa: PLC0415
        from pgflow_stress.target.opening import open_target  # noqa: PLC0415

        request = self._request
        self._about = tool()
        watch = exposed(make_watch(request.run.quiet, request.run.progress_seconds), self._endpoint)
        watch.note(f"find-max: at most {lasting(request.budget_seconds)} (--budget)")
        try:
            with (
                Engine([request.room_plan(), request.pilot_plan()]) as engine,
                watch,
                open_target(request.run.target, watch.note) as target,
            ):
                self._surroundings = surroundings(target, request.run.plans[0])
                self._rules = self._begin(engine, target, watch)
                while self._rules is not None and worst(self._codes()) not in _LAST:
                    asked = ask(self._rules, told(self._windows), self._windows_left(self._rules))
                    if isinstance(asked, Finish):
                        self._finish = asked
                        break
                    self._measure(asked, engine, target, watch)
        except StressError as fault:
            self._endings.append(Ending(fault.exit_code, str(fault)))

    def _begin(self, engine: Engine, target: Target, watch: QuietWatch) -> Rules | None:
        """The search's bounds, by a pilot where no first rate was given; None where the pilot failed."""
        request = self._request
        first = request.start_per_second
        if first is None:
            watch.place("pilot", 0, None)
            watch.note("find-max: a pilot first, a closed load, discarded")
            measurement = engine.measure(request.pilot_plan(), target, keep_nothing, watch)
            reached = _started_per_second(measurement.repetitions)
            if measurement.endings or not reached:
                nothing = Ending(ExitCode.RUN_FAILED, f"{request.scenario}: its pilot completed nothing")
                self._endings += measurement.endings or (nothing,)
                return None
            self._pilot = {"discarded": True, "load_model": "closed", "started_per_second": reached}
            first = reached * _FIRST_OF_PILOT
        most = request.most_per_second
        first = min(first, most)
        least = min(request.least_per_second or first * _LEAST_OF_FIRST, first)
        rules = Rules(first, least, most, request.probes, request.step, request.run.plans[0].options.seed)
        watch.note(self._announcement(rules, reached=(first / _FIRST_OF_PILOT)))
        return rules

    def _announcement(self, rules: Rules, reached: float) -> str:
        """How long it will take, if about so much is reached."""
        windows, likely = self._request.windows, min(reached, rules.most_per_second)
        up = max(1, math.ceil(math.log2(max(1.0, likely / rules.first_per_second))) + 1)
        seconds = sum(
            count * (windows.seconds(phase, likely) + _AROUND_SECONDS)
            for phase, count in (("doubling", up), ("probe", rules.probes), ("confirm", 2 * CONFIRMATIONS))
        )
        whole = windows.seconds("confirm", likely)
        return (
            f"find-max: from {rules.first_per_second:.4g} runs/s; about {lasting(seconds)} if {likely:.4g} runs/s "
            f"can be reached: {up + rules.probes} windows, then {whole:g} s for each that confirms"
        )

    def _windows_left(self, rules: Rules) -> int:
        """How many confirming windows the budget has room for, at the rate of the last window."""
        left = self._request.budget_seconds - (time.monotonic() - self._began)
        rate = self._windows[-1].per_second if self._windows else rules.first_per_second
        around = sum(self._around) / len(self._around) if self._around else _AROUND_SECONDS
        return max(0, int(left // (self._request.windows.seconds("confirm", rate) + around)))

    def _measure(self, asked: Ask, engine: Engine, target: Target, watch: QuietWatch) -> None:
        """One window, on a database of its own."""
        index = len(self._windows)
        plan = self._request.window_plan(asked.phase, asked.per_second, self._seed(index))
        watch.place(f"window {index + 1}: {asked.phase} {asked.per_second:g} runs/s", index, None)
        watch.note(f"find-max: {asked.phase} {index}, {asked.per_second:g} runs/s for {_seconds(plan.options):g} s")
        began = time.monotonic()
        directory = self._destination.directory(f"{asked.phase}-{asked.per_second:g}")
        measurement = engine.measure(plan, target, directory.record if directory else keep_nothing, watch)
        self._endings += [ending for ending in measurement.endings if ending.code in _OWN]
        if not measurement.repetitions:
            return
        self._around.append(time.monotonic() - began - _seconds(plan.options))
        window = self._judged(asked, measurement, began - self._began, directory)
        self._windows.append(window)
        watch.note(f"find-max: {window.held.outcome}{_because(window)}")
        with Patience(already=ExitCode.INTERRUPTED in self._codes()) as patience:
            self._keep(measurement, directory)
        if patience.came and ExitCode.INTERRUPTED not in self._codes():
            self._endings.append(Ending(ExitCode.INTERRUPTED, "interrupted while a window's result was written"))

    def _judged(self, asked: Ask, measurement: Measurement, at: float, directory: ResultDirectory | None) -> Window:
        (repetition,) = measurement.repetitions
        seen = seen_of(repetition, self._request.limits, asked.per_second)
        return Window(
            phase=asked.phase,
            per_second=asked.per_second,
            seconds=_seconds(measurement.plan.options),
            runs=measurement.plan.runs,
            seed=measurement.plan.options.seed,
            isolation=str(measurement.parameters["isolation"]),
            at_seconds=round(at, 3),
            seen=seen,
            held=judge(seen, self._request.limits, self._request.hold),
            folder=directory.path.name if directory else None,
        )

    def _keep(self, measurement: Measurement, directory: ResultDirectory | None) -> None:
        """A window's own result, as `run` writes it."""
        gates = Gates((), False, self._request.run.limits)
        result, _ = assemble(measurement, self._about, self._surroundings, self._request.run.target, gates)
        self._parameters = dict(result.scenario["parameters"])
        if directory is not None:
            directory.finish(result)

    def _seed(self, index: int) -> int:
        seed = self._request.run.plans[0].options.seed
        return random.Random(f"{seed} window {index}").randrange(2**31)

    def _found(self) -> Found:
        finish = self._finish
        plan = self._request.run.plans[0]
        ended = finish.ended if finish else None
        return Found(tuple(self._windows), ended, finish.per_second if finish else None, plan.tasks_per_run)

    def deliver(self) -> None:
        """Write the index and what was found, then show it."""
        found = self._found()
        if self._finish is not None and self._request.run.strict and not found.is_sure:
            self._endings.append(Ending(ExitCode.INVALID, f"{self._request.scenario}: {found.ended}"))
        try:
            with Patience(already=ExitCode.INTERRUPTED in self._codes()) as patience:
                if found.windows:
                    self._destination.conclude(self._document(found))
            if patience.came and ExitCode.INTERRUPTED not in self._codes():
                self._endings.append(Ending(ExitCode.INTERRUPTED, "interrupted while results were written"))
        except StressError as fault:
            self._endings.append(Ending(fault.exit_code, str(fault)))
        finally:
            self._show(found)

    def _document(self, found: Found) -> Json:
        request = self._request
        return {
            "schema": SCHEMA,
            "tool": self._about,
            "scenario": {"name": request.scenario, "parameters": self._shared_parameters()},
            "load_model": "open",
            "environment": self._surroundings,
            "limits": [limit.text for limit in request.limits],
            "hold": asdict(request.hold),
            "search": {
                **(asdict(self._rules) if self._rules else {}),
                "confirmations": CONFIRMATIONS,
                "budget_seconds": request.budget_seconds,
                "seconds": round(time.monotonic() - self._began, 3),
                "runs_needed": request.windows.runs_needed,
                "duration_seconds": request.windows.duration_seconds,
                "pilot": self._pilot,
            },
            **found.as_json(),
            "outcome": outcome(self._endings),
        }

    def _shared_parameters(self) -> Json:
        """The parameters of every window: what is the last one's own is in the path."""
        own = ("stages", "runs", "duration", "timeout", "starters", "seed")
        shared = self._parameters or target_parameters(self._request.run.target)
        return {name: value for name, value in shared.items() if name not in own}

    def _show(self, found: Found) -> None:
        request = self._request
        if not request.run.quiet and found.windows:
            from pgflow_stress.report.search_terminal import render_search  # noqa: PLC0415

            show(partial(render_search, request.scenario, request.limits, found))
            if self._destination.path is not None:
                say(f"every window's result and {SEARCH_FILE} are in {self._destination.path}")
        for ending in self._endings:
            complain(ending.reason)

    def _codes(self) -> list[ExitCode]:
        return [ending.code for ending in self._endings]

    def code(self) -> ExitCode:
        """The code to end with."""
        return worst(self._codes())


def _started_per_second(repetitions: Sequence[Repetition]) -> float | None:
    found = [one.client.get("schedule", {}).get("started_per_second") for one in repetitions]
    return next((float(rate) for rate in found if rate), None)


def _because(window: Window) -> str:
    return f": {window.held.reasons[0]}" if window.held.reasons else ""


def _seconds(options: RunOptions) -> float:
    return sum(stage.seconds for stage in options.stages)
