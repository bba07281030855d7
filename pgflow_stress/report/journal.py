"""A sweep's journal: a line of JSON a repetition, so that a sweep that was killed goes on where it was.

The first line says what is measured; whoever goes on with it must ask for the same. A line that was half written when
the sweep was killed is cut off: that repetition is measured again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.result import Json

JOURNAL_FILE = "sweep.journal"
SCHEMA = "pgflow-stress/sweep-journal/1"


class Journal:
    """A context manager; appends lines that are on the disk when `add` returns."""

    def __init__(self, folder: Path, head: Json, *, resume: bool) -> None:
        """Begin one, or go on with the one that is there.

        Args:
            folder: the sweep's directory; it exists.
            head: what is measured, JSON values; compared as a whole.
            resume: whether one must be there; else none may be.
        Raises:
            UsageFault: one is there or is not, it is none of ours, or it is of another sweep.
        """
        self._path = folder / JOURNAL_FILE
        self._head = {"schema": SCHEMA, **head}
        self.entries: tuple[Json, ...] = ()
        if self._path.exists() != resume:
            raise UsageFault(
                f"{folder} holds no sweep to go on with; leave --resume out to begin one"
                if resume
                else f"{folder} already holds a sweep; give --resume to go on with it, or another --output"
            )
        if resume and not _is_half_begun(self._path):
            lines = list(_whole_lines(self._path))
            if not lines or lines[0].get("schema") != SCHEMA:
                raise UsageFault(f"{self._path} is not a {SCHEMA} journal")
            if different := _first_difference(lines[0], json.loads(json.dumps(self._head))):
                raise UsageFault(f"{folder} holds another sweep: {different}; ask for the same, or elsewhere")
            self.entries = tuple(lines[1:])

    def __enter__(self) -> Journal:
        """Open it, cut off at the last whole line.

        Raises:
            RunFailed: it cannot be written.
        """
        try:
            self._stream = self._path.open("ab")
            whole = _whole_bytes(self._path)
            self._stream.truncate(whole)
            if not whole:
                self.add(self._head)
        except OSError as error:
            raise RunFailed(f"{self._path} could not be written: {error.strerror or error}") from None
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self._stream.close()

    def add(self, entry: Json) -> None:
        """One line more.

        Raises:
            RunFailed: it could not be written.
        """
        try:
            self._stream.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise RunFailed(f"{self._path} could not be written: {error.strerror or error}") from None


def _is_half_begun(path: Path) -> bool:
    """Whether it was killed while its head was written: nothing was measured then, and all is still to do."""
    start = f'{{"schema": "{SCHEMA}"'.encode()
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return b"\n" not in data and data[: len(start)] == start[: len(data)]


def _whole_bytes(path: Path) -> int:
    data = path.read_bytes()
    return data.rfind(b"\n") + 1


def _whole_lines(path: Path) -> Iterator[Json]:
    try:
        data = path.read_bytes()[: _whole_bytes(path)]
        for line in data.splitlines():
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError("a line is no object")
            yield entry
    except (OSError, ValueError) as error:
        raise UsageFault(f"{path} cannot be read: {error}") from None


def _first_difference(have: Json, want: Json) -> str | None:
    for key in {**want, **have}:
        if have.get(key) != want.get(key):
            return f"its {key} {_short(have.get(key))}, asked for {_short(want.get(key))}"
    return None


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
