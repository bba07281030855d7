"""Option types of our own: durations, CPU lists, settings. Each turns text into a value or says what to give."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import click

from pgflow_stress.core.durations import parse_duration
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.durations import SimulatedWork, parse_work
from pgflow_stress.scenario.options import EmptyPoll, parse_empty_poll

PIN_ROLES = ("coordinator", "worker", "starter", "observer", "postgres")


class Duration(click.ParamType[float]):
    """A duration within bounds, in seconds."""

    name = "duration"

    def __init__(self, least: float, most: float) -> None:
        """Bounds in seconds, both allowed."""
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text to seconds; numbers are seconds already."""
        try:
            seconds = parse_duration(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is not a duration: give 30s, 1m30s or seconds", param, ctx)
        if not self.least <= seconds <= self.most:
            self.fail(f"{value} is not between {self.least:g} s and {self.most:g} s", param, ctx)
        return seconds


class Whole(click.IntRange):
    """An integer range whose message calls it what it is."""

    name = "whole number"


AUTO = "auto"


class Repetitions(Whole):
    """How many repetitions or pairs, or `auto`: as many as a precision takes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Text to a number, or AUTO."""
        return AUTO if str(value).strip() == AUTO else super().convert(value, param, ctx)


class Finite(click.FloatRange):
    """A float range that knows that nan is in none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text to a finite number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return float(number)


class Percent(click.ParamType[float]):
    """A percentage, with its sign or without; a share between 0 and 1, both excluded."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Text to a share: 5% and 5 are 0.05."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%?\s*", str(value))
        if found is None:
            self.fail(f"{value!r} is not a percentage: give 5%", param, ctx)
        share = float(found[1]) / 100
        if not 0 < share < 1:
            self.fail(f"{value} is not above 0 % and under 100 %", param, ctx)
        return share


class EmptyPollType(click.ParamType[EmptyPoll]):
    """What an idle worker does."""

    name = "empty-poll"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> EmptyPoll:
        """Text to EmptyPoll."""
        if isinstance(value, EmptyPoll):
            return value
        try:
            return parse_empty_poll(str(value))
        except UsageFault:
            self.fail(
                f"{value!r}: give spin, sleep:MS as sleep:1, or read-with-poll:S,MS as read-with-poll:2,100", param, ctx
            )


class Work(click.ParamType[SimulatedWork]):
    """How long the work of each step's tasks takes."""

    name = "work"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SimulatedWork:
        """Text to SimulatedWork."""
        if isinstance(value, SimulatedWork):
            return value
        try:
            return parse_work(str(value))
        except UsageFault as fault:
            self.fail(str(fault).removeprefix("--work "), param, ctx)


def parse_pin(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Read `worker=0-1,3,postgres=2`: a name with = begins a role, what follows until the next are its CPUs.

    Raises:
        ValueError: the message says what is wrong.
    """
    cpus_of: dict[str, list[int]] = {}
    role = ""
    for item in text.split(","):
        name, equals, cpus = item.strip().rpartition("=")
        if equals:
            role = name.strip()
            if role not in PIN_ROLES:
                raise ValueError(f"unknown role {role!r}; there are {', '.join(PIN_ROLES)}")
            if role in cpus_of:
                raise ValueError(f"{role} is there twice")
            cpus_of[role] = []
        if not role:
            raise ValueError(f"{item!r} belongs to no role: give ROLE=CPUS, as in worker=0-1,postgres=2")
        cpus_of[role] += _cpu_range(cpus)
    return tuple((role, tuple(sorted(set(cpus)))) for role, cpus in cpus_of.items())


def _cpu_range(text: str) -> range:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise ValueError(f"{text!r} is neither a CPU nor a range like 0-1")
    return range(first, last + 1)


class Pin(click.ParamType[tuple[tuple[str, tuple[int, ...]], ...]]):
    """Roles and the CPUs that they may run on, each one that this process may use itself."""

    name = "pin"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Text to pairs of role and CPUs."""
        if isinstance(value, tuple):
            return value
        try:
            pinned = parse_pin(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        usable = os.sched_getaffinity(0)
        for role, cpus in pinned:
            if missing := set(cpus) - usable:
                ours = ",".join(map(str, sorted(usable)))
                self.fail(f"{role}: CPU {min(missing)} is none that we may use ({ours})", param, ctx)
        return pinned


class Several(click.ParamType[str]):
    """One of several texts; in a variable they are separated by semicolons."""

    name = "text"
    envvar_list_splitter = ";"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, without blanks around it."""
        text = str(value).strip()
        if not text:
            self.fail("it is empty", param, ctx)
        return text


class PgSetting(Several):
    """NAME=VALUE of a setting of the embedded server."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, checked for its form."""
        text = super().convert(value, param, ctx)
        if not re.fullmatch(r"[A-Za-z_][\w.]*\s*=[^\n]*", text):
            self.fail(f"{text!r}: give NAME=VALUE, as in shared_buffers=256MB", param, ctx)
        return text


class PgflowSource(click.ParamType[str]):
    """An npm version of pgflow, or a directory of migrations."""

    name = "pgflow"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A version as it is, a directory as an absolute path."""
        text = str(value)
        if re.fullmatch(r"\d+\.\d+\.\d+(?:[-+][\w.+-]+)?", text):
            return text
        path = Path(text).expanduser()
        if not path.is_dir():
            self.fail(f"{text!r} is neither a version like 0.8.1 nor a directory of migrations", param, ctx)
        return str(path.resolve())
