"""The course of one `run`: check, fork, open the target, measure each scenario, write, show, end with a code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pgflow_stress.cli import auto, full
from pgflow_stress.cli.assemble import Gates, assemble, environment, outcome, tool
from pgflow_stress.cli.exposing import exposed, listening
from pgflow_stress.cli.output import STANDARD_OUTPUT, Destination
from pgflow_stress.cli.progress import QuietWatch, make_watch
from pgflow_stress.cli.request import RunRequest
from pgflow_stress.cli.signals import Patience
from pgflow_stress.cli.streams import complain, say, show
from pgflow_stress.core.errors import RunFailed, StressError
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Json, Result
from pgflow_stress.engine.measurement import Ending, Measurement
from pgflow_stress.scenario.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console

    from pgflow_stress.cli.exposing.endpoint import Endpoint
    from pgflow_stress.engine.engine import Engine
    from pgflow_stress.engine.hosts.gate import Gate
    from pgflow_stress.report.directory import ResultDirectory
    from pgflow_stress.target.base import Target

# After one of these the scenarios that are left are not begun.
_LAST = frozenset({ExitCode.INTERRUPTED, ExitCode.RUN_FAILED})


def execute(request: RunRequest) -> ExitCode:
    """Do what was asked, tell what went wrong; the worst code of all of it.

    Raises:
        UsageFault: results could not be written to where they are to go, or a port is taken; nothing was touched.
    """
    with listening(request.prometheus) as endpoint:
        destination = Destination(request.output, request.json, [plan.scenario for plan in request.plans])
        return carried_out(Session(request, destination, endpoint), destination)


def carried_out(session: Session, destination: Destination) -> ExitCode:
    """Measure and deliver; the worst code of all of it."""
    try:
        try:
            session.measure()
        finally:  # a bug of ours in the second scenario does not cost the first one's result
            session.deliver()
    finally:
        destination.discard_if_empty()
    return session.code()


class Session:
    """One run's results and endings, as they come."""

    def __init__(self, request: RunRequest, destination: Destination, endpoint: Endpoint | None = None) -> None:
        """Nothing measured yet."""
        self._request = request
        self._endpoint = endpoint
        self._destination = destination
        self._results: list[Result] = []
        self._directories: list[ResultDirectory | None] = []
        self._told: list[Ending] = []  # in a result, so the summary has it
        self._untold: list[Ending] = []
        self._about: Json = {}
        self._surroundings: Json = {}
        self._pilots: Json = {}  # by scenario, with --full

    def measure(self) -> None:
        """Measure every scenario; faults become endings."""
        # The engine forks before anything here has a thread or a connection, so what may have one is imported after.
        from pgflow_stress.engine.engine import Engine  # noqa: PLC0415
        from pgflow_stress.target.opening import open_target  # noqa: PLC0415

        request = self._request
        self._about = tool()
        watch = exposed(make_watch(request.quiet, request.progress_seconds), self._endpoint)
        try:
            room = [full.room_plan(plan, request.limits) for plan in request.plans] if request.full else request.plans
            with Engine(room, self._gates()) as engine, watch, open_target(request.target, watch.note) as target:
                self._surroundings = surroundings(target, request.plans[0])
                plans = self._sized(engine, target, watch) if request.full else request.plans
                for number, plan in enumerate(plans):
                    if worst(self._codes()) in _LAST:
                        break
                    watch.place(*place_of(plans, number))
                    self._scenario(plan, engine, target, watch)
        except StressError as fault:
            self._untold.append(Ending(fault.exit_code, str(fault)))

    def _gates(self) -> Callable[[], Gate] | None:
        """What makes the gate of each repetition, where this is one host of several."""
        request = self._request
        if request.part is None:
            return None
        options = request.plans[0].options
        return partial(request.part.make_gate, options.timeout_seconds + (options.duration_seconds or 0.0))

    def _sized(self, engine: Engine, target: Target, watch: QuietWatch) -> Sequence[Plan]:
        """The plans as long as the rules ask for, each by a pilot; none where a pilot failed."""
        request = self._request
        watch.note(f"full: a pilot of {' and of '.join(plan.scenario for plan in request.plans)} first, discarded")
        sizes = []
        for plan in request.plans:
            watch.place("pilot", 0, None)
            began = time.monotonic()
            measurement = engine.measure(full.pilot_plan(plan), target, keep_nothing, watch)
            pilot = full.pilot_of(measurement.repetitions, time.monotonic() - began)
            if measurement.endings or pilot is None:
                nothing = Ending(ExitCode.RUN_FAILED, f"{plan.scenario}: its pilot completed nothing")
                self._untold += measurement.endings or (nothing,)
                return ()
            sized = full.sized(plan, pilot, request.limits)
            sizes.append((sized, full.expected_seconds(plan, sized, pilot)))
            self._pilots[plan.scenario] = pilot.as_json()
        watch.note(full.announcement(sizes))
        return [plan for plan, _ in sizes]

    def _scenario(self, plan: Plan, engine: Engine, target: Target, watch: QuietWatch) -> None:
        directory = self._destination.directory(plan.scenario)
        record = directory.record if directory else keep_nothing
        measurement = auto.measure(engine, plan, target, record, watch)
        self._keep(self._request, measurement, directory, self._surroundings)

    def _keep(
        self, request: RunRequest, measurement: Measurement, directory: ResultDirectory | None, around: Json
    ) -> None:
        """Make the result of what was measured, and write it."""
        if not measurement.repetitions:
            self._untold += measurement.endings
            return
        with self._patience(measurement.endings) as patience:
            scenario = measurement.plan.scenario
            if scenario in self._pilots:
                parameters = {**measurement.parameters, "pilot": self._pilots[scenario]}
                measurement = replace(measurement, parameters=parameters)
            gates = Gates(request.thresholds, request.strict, request.limits)
            result, endings = assemble(measurement, self._about, around, request.target, gates)
            self._results.append(result)
            self._directories.append(directory)
            self._told += endings
            try:
                if directory is not None:
                    directory.finish(result)
            except RunFailed as fault:
                lost = Ending(fault.exit_code, str(fault))
                self._told.append(lost)
                self._results[-1] = replace(result, outcome={**result.outcome, **outcome((*endings, lost))})
        self._note_signal(patience)

    def _patience(self, endings: Iterable[Ending] = ()) -> Patience:
        codes = {*self._codes(), *(ending.code for ending in endings)}
        return Patience(already=ExitCode.INTERRUPTED in codes)

    def _note_signal(self, patience: Patience) -> None:
        if patience.came and ExitCode.INTERRUPTED not in self._codes():
            self._untold.append(Ending(ExitCode.INTERRUPTED, "interrupted while results were written"))

    def deliver(self) -> None:
        """Write what is written of all scenarios together, then show the summaries."""
        try:
            with self._patience() as patience:
                self._destination.finish(self._results)
            self._note_signal(patience)
        except StressError as fault:
            self._untold.append(Ending(fault.exit_code, str(fault)))
        finally:
            if self._results and not self._request.quiet:
                show(self._render)
            for ending in (*(self._told if self._request.quiet else ()), *self._untold):
                complain(ending.reason)
            told_by_summary = [one.outcome["exit_code"] for one in self._results]
            if self._results and told_by_summary != [self.code()] and not self._request.quiet:
                codes = (f"{one.scenario['name']} {one.outcome['exit_code']}" for one in self._results)
                say(f"\nexit code {int(self.code())} over all: {', '.join(codes)}")

    def _render(self, console: Console) -> None:
        from pgflow_stress.report.profile_terminal import render_profile  # noqa: PLC0415
        from pgflow_stress.report.terminal import render_summary  # noqa: PLC0415

        for result, directory in zip(self._results, self._directories, strict=True):
            where = str(directory.path) if directory else _file_of(self._request.json)
            (render_profile if result.profile else render_summary)(result, console, where)

    def _codes(self) -> list[ExitCode]:
        return [ending.code for ending in (*self._told, *self._untold)]

    def code(self) -> ExitCode:
        """The code to end with."""
        return worst(self._codes())


def place_of(plans: Sequence[Plan], number: int) -> tuple[str, int, int | None]:
    """For a watch: which of the scenarios comes, the repetitions before it, and all; None where a pilot says it yet."""
    label = f"scenario {number + 1} of {len(plans)}" if len(plans) > 1 else ""
    repetitions = [plan.repetitions for plan in plans]
    known = all(plan.options.precision is None for plan in plans)
    return label, sum(repetitions[:number]), sum(repetitions) if known else None


def surroundings(target: Target, plan: Plan) -> Json:
    """The environment that a plan is measured in."""
    from pgflow_stress.engine.host import host_environment  # noqa: PLC0415

    return environment(target.fingerprint(), host_environment(), dict(plan.options.pin))


def _file_of(json: str | None) -> str | None:
    return None if json == STANDARD_OUTPUT else json


def keep_nothing(_recording: Recording) -> None:
    """With --json and no --output no directory is written."""
