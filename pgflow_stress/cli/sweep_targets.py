"""The targets of a sweep: one for all cells that need the same, opened when the first of them comes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType

from pgflow_stress.cli.grid import Cell
from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target.base import Say, Target, TargetOptions
from pgflow_stress.target.opening import open_target

MOST_OPEN = 4  # servers at once: each takes memory from those that are measured
APPLY_SECONDS = 600.0
_VARIABLE = "PGFLOW_STRESS_APPLY_"

Applied = tuple[tuple[str, str], ...]


class Targets:
    """A context manager; what it opened it closes."""

    def __init__(self, apply_command: str | None, say: Say, sessions: int) -> None:
        """Nothing is open or applied yet.

        Args:
            sessions: the most that a cell's workers hold at once.
        """
        self._sessions = sessions
        self._command = apply_command
        self._say = say
        self._open: dict[TargetOptions, tuple[Target, contextlib.ExitStack]] = {}
        self._applied: Applied | None = None

    def __enter__(self) -> Targets:
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all, whatever one of them says."""
        with contextlib.ExitStack() as all_of_them:
            for _, stack in self._open.values():
                all_of_them.push(stack)
            self._open = {}

    def of(self, cell: Cell) -> Target:
        """The cell's target, with the settings that it asks for.

        Raises:
            SetUpFault: it can't be had, or a setting did not take; the message says which.
        """
        if self._command is not None and cell.applied != self._applied:
            self._apply(cell.applied)
        options = cell.target
        if options not in self._open:
            self._open_one(options)
        else:
            self._open[options] = self._open.pop(options)  # the last used is closed last
        target = self._open[options][0]
        if lines := target.not_taken((*options.pg_settings, *cell.applied)):
            raise SetUpFault(f"a setting did not take: {'; '.join(lines)}")
        return target

    def _open_one(self, options: TargetOptions) -> None:
        while len(self._open) >= MOST_OPEN:
            oldest = next(iter(self._open))
            self._open.pop(oldest)[1].close()
        with contextlib.ExitStack() as stack:
            target = stack.enter_context(open_target(replace(options, sessions=self._sessions), self._say))
            self._open[options] = (target, stack.pop_all())

    def _apply(self, applied: Applied) -> None:
        """Close what is open, as a server may be started again, and let the user's command set what it can."""
        assert self._command is not None
        while self._open:
            self._open.popitem()[1][1].close()
        self._applied = None  # until the command says that it is
        self._say(f"applying {', '.join(f'{name}={value}' for name, value in applied)}")
        _run(self._command, applied)
        self._applied = applied


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
