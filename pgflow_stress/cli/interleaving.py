"""The course of one `compare --interleave`: check, fork, open both targets, measure in turns, write, judge, show."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pgflow_stress.analysis.comparison import Comparison, Question
from pgflow_stress.analysis.regression import parse, require_metric
from pgflow_stress.cli.assemble import outcome, tool
from pgflow_stress.cli.auto import AutoPairs
from pgflow_stress.cli.comparing import Asked, compare_pair, endings_of, show_comparisons, write_page
from pgflow_stress.cli.exposing import exposed, listening
from pgflow_stress.cli.output import COMPARISON_FILE, COMPARISON_PAGE, STANDARD_OUTPUT, ComparisonDestination
from pgflow_stress.cli.progress import QuietWatch, make_watch
from pgflow_stress.cli.running import Session, carried_out, keep_nothing, surroundings
from pgflow_stress.cli.streams import complain, say
from pgflow_stress.cli.varying import Sides
from pgflow_stress.core.errors import StressError, UsageFault
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.engine.measurement import Ending, Measurement

if TYPE_CHECKING:
    from pgflow_stress.cli.exposing.endpoint import Endpoint
    from pgflow_stress.engine.engine import Engine
    from pgflow_stress.engine.interleaving import Side


def execute(asked: Asked, sides: Sides) -> ExitCode:
    """Measure both sides in turns and compare them; the worst code of the runs and of the comparison.

    Raises:
        UsageFault: an unknown metric, results could not be written to where they are to go, or a port is taken; nothing
            was touched.
    """
    if asked.markdown and asked.json == STANDARD_OUTPUT:
        raise UsageFault("--format md and --json - would share standard output: give --json PATH")
    require_metric("--primary", asked.primary, ())
    question = Question(asked.primary, asked.within, tuple(parse(text) for text in asked.fail_on))
    scenario = sides.base.plans[0].scenario
    with listening(sides.base.prometheus) as endpoint:
        destination = ComparisonDestination(sides.base.output, asked.json, [scenario, scenario])
        return carried_out(_Interleaved(sides, question, asked, destination, endpoint), destination)


class _Interleaved(Session):
    """Both sides' results and endings, then what they say of each other."""

    def __init__(
        self,
        sides: Sides,
        question: Question,
        asked: Asked,
        destination: ComparisonDestination,
        endpoint: Endpoint | None,
    ) -> None:
        super().__init__(sides.base, destination, endpoint)
        self._sides = sides
        self._question = question
        self._asked = asked
        self._written = destination
        self._pairs: AutoPairs | None = None

    def measure(self) -> None:
        """Measure pair by pair; faults become endings."""
        from pgflow_stress.engine.engine import Engine  # noqa: PLC0415  as in running: it forks first
        from pgflow_stress.engine.interleaving import Side, interleave  # noqa: PLC0415
        from pgflow_stress.target.opening import open_target  # noqa: PLC0415

        requests = (self._sides.base, self._sides.candidate)
        plans = [request.plans[0] for request in requests]
        self._about = tool()
        session = secrets.token_hex(8)
        watch = exposed(make_watch(self._request.quiet, self._request.progress_seconds), self._endpoint)
        try:
            with Engine(plans) as engine, watch, contextlib.ExitStack() as opened:
                targets = [opened.enter_context(open_target(request.target, watch.note)) for request in requests]
                around = [
                    {**surroundings(target, plan), "session": session}
                    for target, plan in zip(targets, plans, strict=True)
                ]
                directories = [self._destination.directory(plan.scenario) for plan in plans]
                both = [
                    Side(plan, target, directory.record if directory else keep_nothing)
                    for plan, target, directory in zip(plans, targets, directories, strict=True)
                ]
                if plans[0].options.precision is not None:
                    both = self._paired(engine, both, watch)
                if not both:
                    return
                for request, measurement, directory, of_side in zip(
                    requests, interleave(engine, both, watch), directories, around, strict=True
                ):
                    self._keep(request, self._with_pairs(measurement), directory, of_side)
        except StressError as fault:
            self._untold.append(Ending(fault.exit_code, str(fault)))

    def _paired(self, engine: Engine, both: Sequence[Side], watch: QuietWatch) -> list[Side]:
        """The sides with as many pairs as find the difference; none where the pilot failed."""
        from pgflow_stress.engine.interleaving import interleave  # noqa: PLC0415

        pairs = AutoPairs(self._question.primary, both[0].plan.options)
        watch.note(f"auto: a pilot of {both[0].plan.options.repetitions} pairs first, discarded")
        began = time.monotonic()
        pilots = interleave(engine, [replace(side, record=keep_nothing) for side in both], watch)
        endings = [ending for pilot in pilots for ending in pilot.endings]
        self._untold += endings
        if endings:
            return []
        count = pairs.of([pilot.repetitions for pilot in pilots], time.monotonic() - began, watch.note)
        self._pairs = pairs
        return [
            replace(side, plan=replace(side.plan, options=replace(side.plan.options, repetitions=count)))
            for side in both
        ]

    def _with_pairs(self, measurement: Measurement) -> Measurement:
        if self._pairs is None:
            return measurement
        return replace(measurement, parameters={**measurement.parameters, **self._pairs.as_json()})

    def deliver(self) -> None:
        """Write the index and the comparison, then show it."""
        found: Comparison | None = None
        try:
            with self._patience() as patience:
                self._written.finish(self._results)
                found = self._compare()
            self._note_signal(patience)
        except StressError as fault:
            self._untold.append(Ending(fault.exit_code, str(fault)))
        finally:
            if found is not None and (self._asked.markdown or not self._request.quiet):
                show_comparisons([found], self._asked.markdown)
                if self._pairs is not None and not self._request.quiet:
                    say(self._pairs.told(found))
            for ending in (*self._told, *self._untold):
                complain(ending.reason)
            if self._written.path is not None and self._results and not self._request.quiet:
                say(f"both results and {COMPARISON_FILE} are in {self._written.path}")

    def _compare(self) -> Comparison | None:
        """The verdict, written; None where a side has no result."""
        if len(self._results) < 2:
            return None
        from pgflow_stress.report.comparison import comparison_json  # noqa: PLC0415

        base, candidate = self._results
        found = compare_pair(base, candidate, self._question, self._sides.labels)
        self._untold += endings_of(found, self._asked.strict)
        endings = (*self._told, *self._untold)
        ended = outcome(endings)
        if self._pairs is not None:
            ended["precision"] = self._pairs.reached(found)
        self._written.conclude(comparison_json([found], self._about, ended))
        if self._written.path is not None:
            from pgflow_stress.report.saved import load  # noqa: PLC0415

            saved, other = load([self._written.path])
            write_page(str(self._written.path / COMPARISON_PAGE), [(found, saved, other)])
        return found
