"""The course of one `sweep`: rounds over all cells, each repetition kept at once, then what they say together."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pgflow_stress.cli.assemble import Gates, assemble, outcome, target_parameters, tool
from pgflow_stress.cli.exposing import exposed, listening
from pgflow_stress.cli.grid import Axis, Cell, Grid
from pgflow_stress.cli.output import SweepDestination, write_json
from pgflow_stress.cli.progress import make_watch
from pgflow_stress.cli.running import keep_nothing, surroundings
from pgflow_stress.cli.streams import complain, show
from pgflow_stress.core.errors import SetUpFault, StressError, UsageFault
from pgflow_stress.core.exit_codes import ExitCode, worst
from pgflow_stress.core.redact import redact
from pgflow_stress.core.result import Json, Result, repetition_from_json, repetition_to_json
from pgflow_stress.engine.measurement import Ending, Gathering, Measured, on_target
from pgflow_stress.engine.rounds import order
from pgflow_stress.report.journal import Journal
from pgflow_stress.report.layout import SWEEP_FILE
from pgflow_stress.report.sweep_directory import SweepDirectory

if TYPE_CHECKING:
    from pgflow_stress.cli.exposing.endpoint import Endpoint
    from pgflow_stress.cli.progress import QuietWatch
    from pgflow_stress.cli.sweep_targets import Targets
    from pgflow_stress.engine.engine import Engine

GRID, CONFIRM = "grid", "confirm"  # the stages
# Of a cell these are never an outcome of the sweep that may pass: something was lost, or our own run failed.
_NEVER_PASSED = frozenset({ExitCode.CHECK_FAILED, ExitCode.RUN_FAILED})


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """One call of `sweep`."""

    grid: Grid
    metric: str  # by which cells are ranked
    confirm: int  # repetitions more of the best cells; 0: none
    most_confirmed: int
    budget_seconds: float | None
    apply_command: str | None
    resume: bool
    strict: bool
    output: str | None
    json: str | None
    quiet: bool
    progress_seconds: float | None
    prometheus: int | None = None


@dataclass(slots=True)
class Kept:
    """What is there of a cell in one stage: repetitions in the order of their rounds, and why there are no more."""

    gathering: Gathering
    rounds: set[int] = field(default_factory=set)
    codes: set[ExitCode] = field(default_factory=set)
    environment: Json = field(default_factory=dict)
    on: Json = field(default_factory=dict)  # measurement.on_target

    @property
    def failed(self) -> bool:
        """Whether another repetition makes no sense."""
        return bool(self.codes)


def execute(request: SweepRequest) -> ExitCode:
    """Measure what is not measured yet, fit, rank, write, show; the code to end with.

    Raises:
        UsageFault: an unknown metric, results could not be written, a journal that is there is of another sweep, or a
            port is taken.
    """
    from pgflow_stress.analysis.regression import require_metric  # noqa: PLC0415  numpy, not for --help

    require_metric("--metric", request.metric, ())
    if request.resume and request.output is None:
        raise UsageFault("--resume goes on with a sweep: name its directory with --output")
    with listening(request.prometheus) as endpoint:
        destination = SweepDestination(request.output, request.json, resume=request.resume)
        try:
            head = _head(request)
            directory = destination.directory
            journal = Journal(directory.path, head, resume=request.resume) if directory else None
            sweep = _Sweep(request, journal, endpoint)
            try:
                sweep.measure()
            finally:
                sweep.deliver(destination)
        finally:
            destination.discard_if_empty()
    return sweep.code()


def _head(request: SweepRequest) -> Json:
    """What a sweep that goes on must have in common with the one that began."""
    cells = [{**cell.plan.parameters(), **target_parameters(cell.target)} for cell in request.grid.cells]
    first = request.grid.cells[0].plan.options
    return {
        "axes": [asdict(axis) for axis in request.grid.axes],
        "seed": first.seed,
        "warmup": first.warmup,
        "repetitions": first.repetitions,
        "confirm": request.confirm,
        "metric": request.metric,
        "parameters": sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest(),
    }


class _Sweep:
    """A sweep's cells and endings, as they come."""

    def __init__(self, request: SweepRequest, journal: Journal | None, endpoint: Endpoint | None) -> None:
        self._request = request
        self._endpoint = endpoint
        self._journal = journal
        self._cells = request.grid.cells
        self._about = tool()
        self._kept = {GRID: [_nothing_of(cell) for cell in self._cells], CONFIRM: [_nothing_of(c) for c in self._cells]}
        self._endings: list[Ending] = []
        self._session: str = sha256(str(time.time_ns()).encode()).hexdigest()[:16]
        self._found: Json | None = None
        self._results: list[tuple[Cell, Result]] = []
        self._deadline = None if request.budget_seconds is None else time.monotonic() + request.budget_seconds
        self._out_of_time = False
        for entry in journal.entries if journal else ():
            self._take(entry)

    def measure(self) -> None:
        """All rounds of the grid, then those of the best cells; faults of cells are outcomes."""
        from pgflow_stress.cli.sweep_targets import Targets  # noqa: PLC0415  as in running: the engine forks first
        from pgflow_stress.engine.engine import Engine  # noqa: PLC0415

        watch = exposed(make_watch(self._request.quiet, self._request.progress_seconds), self._endpoint)
        try:
            with (
                Engine([cell.plan for cell in self._cells]) as engine,
                watch,
                self._journal or contextlib.nullcontext(),
                Targets(
                    self._request.apply_command,
                    watch.note,
                    lambda plan, target: engine.aged(plan, target, watch),
                    max(cell.target.sessions for cell in self._cells),
                ) as targets,
            ):
                self._stages(engine, targets, watch)
        except StressError as fault:
            self._endings.append(Ending(fault.exit_code, str(fault)))

    def _stages(self, engine: Engine, targets: Targets, watch: QuietWatch) -> None:
        request, options = self._request, self._cells[0].plan.options
        rounds = options.warmup + options.repetitions
        limit = f", at most {request.budget_seconds:g} s" if request.budget_seconds else ""
        watch.note(f"sweep: {len(self._cells)} cells x {rounds} repetitions{limit}")
        if not self._rounds(GRID, range(len(self._cells)), rounds, engine, targets, watch):
            return
        if request.confirm and (chosen := self._to_confirm()):
            watch.note(f"confirming {len(chosen)} cells in {request.confirm} fresh repetitions each")
            self._rounds(CONFIRM, chosen, options.warmup + request.confirm, engine, targets, watch)

    def _rounds(
        self, stage: str, chosen: Sequence[int], rounds: int, engine: Engine, targets: Targets, watch: QuietWatch
    ) -> bool:
        """Round after round, every cell once in each; False where the sweep ends."""
        seed = self._cells[0].plan.options.seed
        began = time.monotonic()
        for index in range(rounds):
            for at in order([self._cells[cell].applied for cell in chosen], index, seed, stage):
                kept = self._kept[stage][chosen[at]]
                if kept.failed or index in kept.rounds:
                    continue
                if self._deadline is not None and time.monotonic() > self._deadline:
                    self._out_of_time = True
                    watch.note(f"the budget is used up in round {index + 1} of {rounds}")
                    return False
                self._place(stage, chosen, rounds, chosen[at], watch)
                if not self._one(stage, self._cells[chosen[at]], index, engine, targets, watch):
                    return False
            if index == 0 and rounds > 1:
                left = (time.monotonic() - began) * (rounds - 1)
                watch.note(f"sweep: a round took {time.monotonic() - began:.0f} s; about {left:.0f} s for the others")
        return True

    def _place(self, stage: str, chosen: Sequence[int], rounds: int, cell: int, watch: QuietWatch) -> None:
        """Tell a watch which cell comes, and how many repetitions of the stage are done."""
        kept = [self._kept[stage][place] for place in chosen]
        left = sum(sum(index not in of.rounds for index in range(rounds)) for of in kept if not of.failed)
        done = sum(len(of.rounds) for of in kept)
        number = f"{chosen.index(cell) + 1} of {len(chosen)}"
        watch.place(f"{'cell' if stage == GRID else 'confirming cell'} {number}", done, done + left)

    def _one(self, stage: str, cell: Cell, index: int, engine: Engine, targets: Targets, watch: QuietWatch) -> bool:
        """One repetition of a cell, kept; False where the sweep ends with it."""
        watch.note(f"cell {cell.label}, {stage} round {index}")
        environment: Json = {}
        on: Json = {}
        try:
            target = targets.of(cell)
            environment = {**surroundings(target, cell.plan), "session": self._session}
            on = on_target(cell.plan, target)
            measured = engine.measure_one(cell.plan, target, keep_nothing, watch, index)
        except SetUpFault as fault:
            measured = Measured(None, (Ending(fault.exit_code, str(fault)),))
        if any(ending.code is ExitCode.INTERRUPTED for ending in measured.endings):
            self._endings.append(Ending(ExitCode.INTERRUPTED, f"interrupted at cell {cell.label}"))
            return False
        entry = {
            "stage": stage,
            "cell": cell.index,
            "round": index,
            "repetition": None if measured.repetition is None else repetition_to_json(measured.repetition),
            "endings": [[int(ending.code), redact(ending.reason)] for ending in measured.endings],
            "vt_seconds": measured.vt_seconds,
            "tasks_by_worker": list(measured.tasks_by_worker),
            "environment": environment,
            "on": on,
        }
        if self._journal is not None:
            self._journal.add(entry)
        self._take(entry)
        return True

    def _take(self, entry: Json) -> None:
        """What the journal says of one repetition, measured now or earlier."""
        kept = self._kept[entry["stage"]][entry["cell"]]
        document = entry["repetition"]
        endings = tuple(Ending(ExitCode(code), reason) for code, reason in entry["endings"])
        repetition = None if document is None else repetition_from_json(document)
        kept.gathering.add(Measured(repetition, endings, entry["vt_seconds"], tuple(entry["tasks_by_worker"])))
        kept.rounds.add(entry["round"])
        kept.codes |= {ending.code for ending in endings}
        kept.environment, kept.on = entry["environment"] or kept.environment, entry["on"] or kept.on

    def _to_confirm(self) -> list[int]:
        """The best cell and those that may be as good, the best first; none where they cannot be ranked."""
        from pgflow_stress.analysis.sweeping import ranking  # noqa: PLC0415

        try:
            found = ranking(
                [point for point in self._points(self._assembled(GRID)) if self._is_sound(point.cell)],
                self._request.metric,
            )
        except ValueError:
            return []
        return list(found.ties[: self._request.most_confirmed])

    def _is_sound(self, cell: int) -> bool:
        return not self._kept[GRID][cell].failed

    def _assembled(self, stage: str) -> list[tuple[Cell, Result]]:
        results = []
        for cell, kept in zip(self._cells, self._kept[stage], strict=True):
            measurement = kept.gathering.measurement()
            if measurement.repetitions:
                measurement = replace(measurement, parameters={**measurement.parameters, **kept.on})
                request = cell.request
                gates = Gates(request.thresholds, request.strict, request.limits)
                result, _ = assemble(measurement, self._about, kept.environment, request.target, gates)
                results.append((cell, result))
        return results

    def _points(self, assembled: Sequence[tuple[Cell, Result]]) -> list:  # type: ignore[type-arg]  # analysis.sweeping.Point, imported late
        from pgflow_stress.analysis.sweeping import Point  # noqa: PLC0415

        axes = self._request.grid.axes
        points = []
        for cell, result in assembled:
            values = {
                name: tuple(value for value in metric.values if value is not None)
                for name, metric in result.summary.items()
                if metric.n and metric.n == len(metric.values)
            }
            busy = result.summary.get("client.host.busy_share")
            numbers = tuple(_number(axis, value) for axis, value in zip(axes, cell.values, strict=True))
            points.append(Point(cell.index, cell.values, numbers, values, busy.mean if busy else None, cell.plan.runs))
        return points

    def deliver(self, destination: SweepDestination) -> None:
        """Write every cell's result, the index and sweep.json, then show what was found."""
        from pgflow_stress.report.sweep import sweep_document  # noqa: PLC0415

        try:
            self._results = self._assembled(GRID)
            directory = destination.directory
            if directory is not None:
                for cell, result in self._results:
                    directory.cell(cell.index, cell.folder, result)
                directory.finish()
            self._found = sweep_document(
                about=self._about,
                head=_head(self._request),
                axes=self._request.grid.axes,
                cells=[self._cell_json(cell, directory is not None) for cell in self._cells],
                points=self._points(self._results),
                confirmed=self._points(self._assembled(CONFIRM)),
                sound=[cell.index for cell in self._cells if self._is_sound(cell.index)],
                metric=self._request.metric,
                outcome=outcome(self._all_endings()),
            )
            if directory is not None and self._results:
                write_json(self._found, str(directory.path / SWEEP_FILE))
                directory.write_page(self._found)
            if self._request.json is not None:
                write_json(self._found, self._request.json)
        except StressError as fault:
            self._endings.append(Ending(fault.exit_code, str(fault)))
        if self._found is not None and not self._request.quiet and self._results:
            _show(self._found, str(destination.directory.path) if destination.directory else None)
        for ending in self._endings:
            complain(ending.reason)

    def _cell_json(self, cell: Cell, is_written: bool) -> Json:
        kept = self._kept[GRID][cell.index]
        measurement = kept.gathering.measurement()
        result = next((result for one, result in self._results if one is cell), None)
        folder = SweepDirectory.folder_name(cell.index, cell.folder) if result and is_written else None
        return {
            "index": cell.index,
            "values": dict(zip(cell.names, cell.values, strict=True)),
            "label": cell.label,
            "folder": folder,
            "rounds": len(kept.rounds),
            "codes": sorted(int(code) for code in kept.codes),
            "reasons": [ending.reason for ending in measurement.endings],
            "verdict": None if result is None else asdict(result.verdict),
            "summary": {} if result is None else {name: asdict(metric) for name, metric in result.summary.items()},
        }

    def _all_endings(self) -> list[Ending]:
        """The sweep's own, and of cells those that no sweep may pass over; with --strict all of them."""
        found = list(self._endings)
        for stage in (GRID, CONFIRM):
            for cell, kept in zip(self._cells, self._kept[stage], strict=True):
                found += [
                    Ending(ending.code, f"cell {cell.label}: {ending.reason}")
                    for ending in kept.gathering.measurement().endings
                    if self._request.strict or ending.code in _NEVER_PASSED
                ]
        if self._request.strict and self._out_of_time:
            found.append(Ending(ExitCode.INVALID, "the budget was used up before every cell had its repetitions"))
        return found

    def code(self) -> ExitCode:
        """The code to end with."""
        return worst(ending.code for ending in self._all_endings())


def _nothing_of(cell: Cell) -> Kept:
    return Kept(Gathering(cell.plan, {}))


def _number(axis: Axis, value: str) -> float | None:
    return axis.place(value) if axis.numbers else None


def _show(document: Json, where: str | None) -> None:
    from pgflow_stress.report.sweep_terminal import render_sweep  # noqa: PLC0415

    show(lambda console: render_sweep(document, console, where))
