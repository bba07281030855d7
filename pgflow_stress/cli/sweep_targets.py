"""The targets of a sweep: one for all cells that need the same, opened and aged when the first of them comes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from pgflow_stress.cli.grid import Cell
from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.scenario.past import past_of
from pgflow_stress.scenario.plan import Plan
from pgflow_stress.target.base import Say, Target, TargetOptions
from pgflow_stress.target.opening import open_target

MOST_OPEN = 4  # servers at once: each takes memory from those that are measured
MOST_TARGETS = 12  # of theirs at once: an aged one takes as much of the disk as its history
APPLY_SECONDS = 600.0
_VARIABLE = "PGFLOW_STRESS_APPLY_"

Applied = tuple[tuple[str, str], ...]
Age = Callable[[Plan, Target], contextlib.AbstractContextManager[None]]


@dataclass(slots=True)
class _Opened:
    """One that is open; closing the stack closes it."""

    target: Target
    stack: contextlib.ExitStack
    is_aged: bool = False


class Targets:
    """A context manager; what it opened it closes."""

    def __init__(self, apply_command: str | None, say: Say, age: Age, sessions: int) -> None:
        """Nothing is open or applied yet.

        Args:
            age: makes a target's databases as old as a plan asks, for the length of a block.
            sessions: the most that a cell's workers hold at once.
        """
        self._sessions = sessions
        self._command = apply_command
        self._say = say
        self._age = age
        self._open: dict[tuple[TargetOptions, str], _Opened] = {}  # by options and history
        self._applied: Applied | None = None

    def __enter__(self) -> Targets:
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all, whatever one of them says."""
        with contextlib.ExitStack() as all_of_them:
            for opened in self._open.values():
                all_of_them.push(opened.stack)
            self._open = {}

    def of(self, cell: Cell) -> Target:
        """The cell's target, with the settings that it asks for, as old as it asks for: aged once, not each time.

        Raises:
            SetUpFault: it can't be had, or a setting did not take; the message says which.
            StressError: the history could not be made.
        """
        if self._command is not None and cell.applied != self._applied:
            self._apply(cell.applied)
        key = (cell.target, _history(cell.plan))
        opened = self._open.pop(key, None) or self._open_one(cell.target)
        self._open[key] = opened  # the last used is closed last
        if lines := opened.target.not_taken((*cell.target.pg_settings, *cell.applied)):
            raise SetUpFault(f"a setting did not take: {'; '.join(lines)}")
        if not opened.is_aged:
            opened.stack.enter_context(self._age(cell.plan, opened.target))
            opened.is_aged = True
        return opened.target

    def _open_one(self, options: TargetOptions) -> _Opened:
        """Open one; where too many are open the one that was used longest ago is closed, an aged one last."""
        others = [*dict.fromkeys(_server(of) for of, _ in self._open if _server(of) != _server(options))]
        if len(others) >= MOST_OPEN:
            self._close([key for key in self._open if _server(key[0]) == others[0]])
        if len(self._open) >= MOST_TARGETS:
            self._close(sorted(self._open, key=lambda key: bool(key[1]))[:1])
        with contextlib.ExitStack() as stack:
            target = stack.enter_context(open_target(replace(options, sessions=self._sessions), self._say))
            return _Opened(target, stack.pop_all())

    def _close(self, keys: Sequence[tuple[TargetOptions, str]]) -> None:
        for key in keys:
            self._open.pop(key).stack.close()

    def _apply(self, applied: Applied) -> None:
        """Close what is open, as a server may be started again, and let the user's command set what it can."""
        assert self._command is not None
        self._close([*self._open])
        self._applied = None  # until the command says that it is
        self._say(f"applying {', '.join(f'{name}={value}' for name, value in applied)}")
        _run(self._command, applied)
        self._applied = applied


def _server(options: TargetOptions) -> tuple[object, ...]:
    """What tells one server from another: the one that is given, or how the embedded one is set."""
    return (options.dsn, options.pg_settings, options.purpose, options.profiled)


def _history(plan: Plan) -> str:
    """What tells one history from another; nothing where there is none."""
    return json.dumps(past_of(plan).parameters(), sort_keys=True) if plan.history else ""


def _run(command: str, applied: Sequence[tuple[str, str]]) -> None:
    settings = {f"{_VARIABLE}{_upper(name)}": value for name, value in applied}
    try:
        done = subprocess.run(
            command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            errors="replace", timeout=APPLY_SECONDS, env={**os.environ, **settings},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SetUpFault(f"--apply-command was not through after {APPLY_SECONDS:g} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise SetUpFault(f"--apply-command ended with {done.returncode}: {said}")


def _upper(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).upper()
