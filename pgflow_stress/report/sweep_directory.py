"""The directory of a sweep: a folder a cell with its result.json, an index, the journal, sweep.json, report.html."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.result import Json, Result
from pgflow_stress.report.directory import make_directory, remove_empty
from pgflow_stress.report.journal import JOURNAL_FILE
from pgflow_stress.report.layout import INDEX_FILE, REPORT_FILE, RESULT_FILE, SWEEP_FILE
from pgflow_stress.report.result_file import write_atomically, write_index, write_result


class SweepDirectory:
    """Folders by the cells' numbers; what stands there of an earlier call is written over."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Make it, or take the one that is gone on with.

        Raises:
            UsageFault: it cannot be written, already holds a result, or is not there.
        """
        self.path = path
        self._made: list[Path] = []
        self._entries: list[tuple[str, str]] = []
        if not resume:
            self._made = make_directory(path)
        elif not path.is_dir():
            raise UsageFault(f"{path} holds no sweep to go on with; leave --resume out to begin one")

    @staticmethod
    def folder_name(index: int, name: str) -> str:
        """`03-workers=2`: the third cell's."""
        return f"{index + 1:02d}-{name}"

    def cell(self, index: int, name: str, result: Result) -> None:
        """Write a cell's result.

        Raises:
            RunFailed: it could not be written.
            ValueError: the result holds NaN or an infinity.
        """
        folder = self.folder_name(index, name)
        try:
            (self.path / folder).mkdir(exist_ok=True)
        except OSError as error:
            raise RunFailed(f"{self.path / folder} could not be made: {error.strerror or error}") from None
        write_result(self.path / folder / RESULT_FILE, result)
        self._entries.append((name, folder))

    def finish(self) -> None:
        """Write the index; what a kill left of files that were being written is removed.

        Raises:
            RunFailed: it could not be written.
        """
        for torn in self._torn():
            torn.unlink(missing_ok=True)
        if self._entries:
            write_index(self.path, self._entries)

    def _torn(self) -> Iterator[Path]:
        """Files beside their places, as `write_atomically` names them; nobody else writes here now."""
        for folder in (self.path, *(self.path / folder for _, folder in self._entries)):
            for name in (RESULT_FILE, SWEEP_FILE, REPORT_FILE, INDEX_FILE):
                yield from folder.glob(f".{name}.*")

    def write_page(self, document: Json) -> None:
        """Write report.html of what the cells say together.

        Raises:
            RunFailed: it could not be written.
        """
        from pgflow_stress.report.sweep_page import render_sweep_page  # noqa: PLC0415  jinja2 and scipy

        write_atomically(self.path / REPORT_FILE, render_sweep_page(document))

    def discard_if_empty(self) -> None:
        """Remove what was made, where nothing was measured: a journal that only has its head is nothing."""
        if self._made and not self._entries:
            journal = self.path / JOURNAL_FILE
            if journal.exists() and journal.read_bytes().count(b"\n") <= 1:
                journal.unlink()
        remove_empty(self._made)
