"""What a scenario says of itself: its parameters, its defaults, and the flows that they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.failing import Failing
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.own import OwnFlow, nearest

Value = int | float | str
Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a scenario; its type is that of its default."""

    name: str  # as it is typed: failure-probability
    help: str
    default: Value
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Its type in words."""
        if self.choices:
            return "|".join(self.choices)
        return {int: "N", float: "F", str: "TEXT"}[type(self.default)]

    def read(self, given: Value) -> Value:
        """A value of its type.

        Raises:
            UsageFault: no such value, or one out of its range.
        """
        if isinstance(self.default, str):
            if self.choices and given not in self.choices:
                raise UsageFault(f"{self.name} {given!r}: give one of {', '.join(self.choices)}")
            return str(given)
        number = self._number(given)
        if number is None or not self._fits(number):
            what = "a whole number" if isinstance(self.default, int) else "a number"
            raise UsageFault(f"{self.name} {given!r}: give {what} of {self.least:g} to {self.most:g}")
        return number

    def _number(self, given: Value) -> int | float | None:
        try:
            if isinstance(self.default, float):
                return float(given)
            return None if isinstance(given, float) else int(given)
        except ValueError:
            return None

    def _fits(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True, slots=True)
class Built:
    """The flows that a scenario's parameters give."""

    shapes: tuple[FlowShape, ...]
    weights: tuple[float, ...] = (1.0,)  # of each shape: its share of flows and runs
    failing: Failing | None = None
    deployed: str | None = None  # the slug of a flow that is there already: nothing is created


def one_shape(build: Callable[[Values], FlowShape]) -> Callable[[Values, int], Built]:
    """A scenario whose flows all have the shape that its parameters give."""
    return lambda values, _seed: Built((build(values),))


@dataclass(frozen=True, slots=True)
class Shape:
    """A scenario: its summary, its parameters, its defaults, and what it builds of them and a seed."""

    summary: str
    explains: str  # what it shows and what limits it, for `scenarios describe`
    default_flows: int
    build: Callable[[Values, int], Built]
    parameters: tuple[Parameter, ...] = ()
    size: str | None = None  # the parameter that --steps sets
    scales_steps: bool = False  # whether --scale multiplies that as well
    steps_variable: str | None = None  # the old script's variable for its steps
    flows_variable: str | None = None  # and for its flows
    default_runs: int | None = None  # None: a run of each flow
    starts: bool = True  # whether runs are started at all
    parts: Callable[[Mapping[str, Value]], Mapping[str, Shape]] | None = None  # scenarios that it is a mix of
    build_own: Callable[[Values, int, Sequence[OwnFlow]], Built] | None = None  # instead, of definitions that were read

    def values(self, given: Values) -> dict[str, Value]:
        """Every parameter's value, defaults included.

        Raises:
            UsageFault: an unknown parameter, or a value that is none.
        """
        own = {parameter.name: parameter for parameter in self.parameters}
        found = {name: own[name].read(given[name]) if name in given else own[name].default for name in own}
        parts = self.parts(found) if self.parts is not None else {}
        for name, shape in parts.items():
            inner = {key.partition(".")[2]: value for key, value in given.items() if key.startswith(name + ".")}
            try:
                found |= {f"{name}.{key}": value for key, value in shape.values(inner).items()}
            except UsageFault as fault:
                raise UsageFault(f"{name}: {fault}") from None
        for name in given:
            if name not in found:
                known = f"there are: {', '.join(found) or 'none'}"
                raise UsageFault(f"no parameter {name!r}; {known}{nearest(name, list(found))}")
        return found


STEPS = Parameter("steps", "Steps of a flow.", 10, 1, 1_000_000)
