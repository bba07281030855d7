"""The cells of a sweep: every combination of what is varied, each one a request of `run`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import click

from pgflow_stress.cli.request import RunRequest
from pgflow_stress.cli.varying import FIXED, Variation, arguments_of, as_typed, check_variation, parse_vary, request_of
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.redact import redact
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import TargetOptions

SCENARIO = "scenario"
APPLY = "apply"  # apply.NAME: what --apply-command sets
MOST_CELLS = 1_000  # without --yes
MOST_CELLS_AT_ALL = 100_000
_NAME_CHARACTERS = 60  # of a cell's folder


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that is varied; `numbers` are its values where all are numbers, else None."""

    name: str
    values: tuple[str, ...]

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """As numbers of 0 or more, all different, for curves; None where they are not."""
        try:
            found = tuple(map(float, self.values))
        except ValueError:
            return None
        return found if all(math.isfinite(n) and n >= 0 for n in found) and len({*found}) == len(found) else None

    def place(self, value: str) -> float:
        """Where a value stands among the others: the smaller number, or what was typed first, comes first."""
        return self.numbers[self.values.index(value)] if self.numbers else float(self.values.index(value))


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: a value of each axis, in the order of the axes."""

    index: int
    values: tuple[str, ...]
    names: tuple[str, ...]  # of the axes
    request: RunRequest

    @property
    def plan(self) -> Plan:
        """What it measures."""
        return self.request.plans[0]

    @property
    def target(self) -> TargetOptions:
        """What it measures on."""
        return self.request.target

    @property
    def label(self) -> str:
        """`workers=2, completion=batch`."""
        return ", ".join(f"{name}={value}" for name, value in zip(self.names, self.values, strict=True))

    @property
    def folder(self) -> str:
        """The label as the name of a folder."""
        safe = "".join(c if c.isalnum() or c in "-=.," else "_" for c in self.label.replace(", ", ","))
        return safe[:_NAME_CHARACTERS]

    @property
    def applied(self) -> tuple[tuple[str, str], ...]:
        """(setting, value) that --apply-command is to bring about."""
        pairs = zip(self.names, self.values, strict=True)
        return tuple((name.partition(".")[2], value) for name, value in pairs if name.startswith(f"{APPLY}."))


@dataclass(frozen=True, slots=True)
class Grid:
    """All cells, the last axis running fastest."""

    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]


def grid_of(
    ctx: click.Context, vary: Sequence[str], run_options: Sequence[click.Parameter], *, yes: bool, applies: bool
) -> Grid:
    """The grid of a command line.

    Args:
        ctx: of a VaryingCommand whose argument `scenario` holds the scenarios.
        vary: every --vary.
        run_options: what may be varied.
        yes: however many cells.
        applies: whether there is a command for apply.NAME.
    Raises:
        UsageFault: nothing varied, an axis twice or of equal values, too many cells, or what `run` refuses of a cell.
    """
    variations = [_checked(ctx, parse_vary(text, many=True), run_options, applies) for text in vary]
    names = [variation.name for variation in variations]
    if not variations:
        raise UsageFault("sweep takes what is varied: --vary workers=1,2,4, as often as wanted")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageFault(f"--vary {twice} is there twice: give all its values at once")
    many = math.prod(len(variation.values) for variation in variations)
    if many > (MOST_CELLS_AT_ALL if yes else MOST_CELLS):
        most = "--yes allows up to " + f"{MOST_CELLS_AT_ALL:,}" if yes or many > MOST_CELLS_AT_ALL else "give --yes"
        raise UsageFault(f"a grid of {many:,} cells is more than {MOST_CELLS:,}: {most}, or vary less")
    arguments = arguments_of(ctx)
    cells = []
    for index, values in enumerate(itertools.product(*(variation.values for variation in variations))):
        request = _request(ctx, variations, values, arguments)
        cells.append(Cell(index, tuple(map(redact, values)), tuple(names), request))
    axes = (Axis(one.name, tuple(map(redact, one.values))) for one in variations)
    return Grid(tuple(axes), tuple(cells))


def _checked(
    ctx: click.Context, variation: Variation, run_options: Sequence[click.Parameter], applies: bool
) -> Variation:
    if len({*variation.values}) != len(variation.values):
        raise UsageFault(f"--vary {variation.name}: a value is there twice")
    if variation.name == SCENARIO:
        if ctx.params[SCENARIO]:
            raise UsageFault("--vary scenario: a scenario is given by itself as well; leave one of the two out")
        return variation
    if variation.name.startswith(f"{APPLY}."):
        if not applies:
            raise UsageFault(f"--vary {variation.name}: there is no --apply-command that would set it")
        return variation
    check_variation(ctx, variation, run_options, FIXED - {"dsn"})
    return variation


def _request(
    ctx: click.Context, variations: Sequence[Variation], values: Sequence[str], arguments: Sequence[str]
) -> RunRequest:
    put_in: list[str] = []
    scenario: list[str] = []
    for variation, value in zip(variations, values, strict=True):
        if variation.name == SCENARIO:
            scenario = [value]
        elif not variation.name.startswith(f"{APPLY}."):
            put_in += as_typed(variation, value)
    try:
        request = request_of(ctx, [*put_in, *arguments, *scenario], names=SCENARIO)
    except (UsageFault, click.UsageError) as fault:
        what = ", ".join(f"{one.name}={value}" for one, value in zip(variations, values, strict=True))
        message = fault.message if isinstance(fault, click.UsageError) else str(fault)
        raise UsageFault(f"cell {what}: {message}") from None
    if request.plans and request.plans[0].options.precision is not None:
        raise UsageFault("--repetitions auto is for run and for compare --interleave: give sweep a number")
    if len(request.plans) != 1:
        raise UsageFault("sweep measures one scenario a cell: sweep SCENARIO --vary …, or --vary scenario=A,B")
    return request
