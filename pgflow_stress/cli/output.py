"""Where results go: a directory, a file or standard output, checked before anything is measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgflow_stress.cli.streams import check_standard_output, write_data
from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.result import Json, Result, to_json

if TYPE_CHECKING:  # report.directory brings numpy, which the other commands' --help is not to wait for
    from pgflow_stress.report.directory import IndexDirectory, ResultDirectory

STANDARD_OUTPUT = "-"
RESULTS_FOLDER = "pgflow-stress-results"
COMPARISON_FILE = "comparison.json"
_MOST_NAMES = 3  # in the name of a folder


def check_json(where: str) -> None:
    """Check that `--json PATH|-` can be written, leaving nothing behind.

    Raises:
        UsageFault: it cannot.
    """
    from pgflow_stress.report.result_file import require_writable  # noqa: PLC0415

    if where == STANDARD_OUTPUT:
        check_standard_output()
        return
    path = _resolve(where)
    if not _is_special(path):
        require_writable(path)


def write_json(document: Any, where: str) -> None:
    """Write one JSON document to a file, whole or not at all, or to standard output.

    Raises:
        RunFailed: it could not be written.
        OutputClosed: nobody reads standard output any more.
    """
    from pgflow_stress.report.result_file import dump, write_atomically  # noqa: PLC0415

    text = dump(document)
    if where == STANDARD_OUTPUT:
        write_data(text)
        return
    path = _resolve(where)
    if not _is_special(path):
        write_atomically(path, text)
        return
    try:  # a pipe or a device: renaming a file over it would take it from everybody
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFailed(f"{where} could not be written: {error.strerror}") from None


def _resolve(where: str) -> Path:
    path = Path(where)
    if _is_special(path):
        return path  # /dev/fd/N resolves to a name that cannot be opened
    try:
        return path.resolve()  # what a link names is replaced, not the link
    except (OSError, RuntimeError) as error:
        raise UsageFault(f"{where}: {error}") from None


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


class Destination:
    """The directory of a run, if it has one: a folder for one scenario, folders and an index for several."""

    def __init__(self, output: str | None, json: str | None, scenarios: Sequence[str]) -> None:
        """Make what must be made and check the rest.

        Raises:
            UsageFault: something is not writable, or holds a result already.
        """
        self._one: ResultDirectory | None = None
        self._several: IndexDirectory | None = None
        self._folders: list[ResultDirectory] = []
        self._json = json
        self._is_array = len(scenarios) > 1
        if output is not None or json is None:
            self._make(Path(output) if output is not None else _default_path(scenarios))
        if json is not None:
            try:
                check_json(json)  # after the directory: it may be meant to lie in it
            except UsageFault:
                self.discard_if_empty()
                raise

    def _make(self, path: Path) -> None:
        from pgflow_stress.report.directory import IndexDirectory, ResultDirectory  # noqa: PLC0415

        if self._is_array:
            self._several = IndexDirectory(path)
        else:
            self._one = ResultDirectory(path)

    def directory(self, scenario: str) -> ResultDirectory | None:
        """Where one scenario's files go; each scenario asks once, in order.

        Raises:
            RunFailed: its folder could not be made, though the directory could.
        """
        if self._several is None:
            return self._one
        try:
            folder = self._several.folder(scenario)
        except UsageFault as fault:  # too late to be usage: something was touched
            raise RunFailed(str(fault)) from None
        self._folders.append(folder)
        return folder

    def finish(self, results: Sequence[Result]) -> None:
        """Write what is there of the whole: the index, the JSON document.

        Raises:
            RunFailed: it could not be written.
            OutputClosed: nobody reads standard output any more.
        """
        if self._several is not None and results:
            self._several.finish()
        if self._json is not None and results:
            documents = [to_json(result) for result in results]
            write_json(documents if self._is_array else documents[0], self._json)

    def discard_if_empty(self) -> None:
        """Leave no empty folder where nothing was measured."""
        for made in (*reversed(self._folders), self._one, self._several):
            if made is not None:
                made.discard_if_empty()


class ComparisonDestination(Destination):
    """Where two sides of one scenario go, and what they say of each other."""

    @property
    def path(self) -> Path | None:
        """The directory, if there is one."""
        return self._several.path if self._several is not None else None

    def finish(self, results: Sequence[Result]) -> None:
        """Write the index; the JSON document is the comparison's.

        Raises:
            RunFailed: it could not be written.
        """
        if self._several is not None and results:
            self._several.finish()

    def compared(self, document: Json) -> None:
        """Write the comparison: into the directory, and where --json says.

        Raises:
            RunFailed: it could not be written.
            OutputClosed: nobody reads standard output any more.
        """
        if self.path is not None:
            write_json(document, str(self.path / COMPARISON_FILE))
        if self._json is not None:
            write_json(document, self._json)


class SweepDestination:
    """Where a sweep goes: a directory, unless --json alone was asked for."""

    def __init__(self, output: str | None, json: str | None, *, resume: bool) -> None:
        """Make what must be made and check the rest.

        Raises:
            UsageFault: something is not writable, holds a result already, or holds no sweep to go on with.
        """
        from pgflow_stress.report.sweep_directory import SweepDirectory  # noqa: PLC0415  as above

        self.directory: SweepDirectory | None = None
        if output is not None or json is None:
            path = Path(output) if output is not None else _default_path(["sweep"])
            self.directory = SweepDirectory(path, resume=resume)
        self.json = json
        if json is not None:
            try:
                check_json(json)
            except UsageFault:
                self.discard_if_empty()
                raise

    def discard_if_empty(self) -> None:
        """Leave no empty folder where nothing was measured."""
        if self.directory is not None:
            self.directory.discard_if_empty()


def _default_path(scenarios: Sequence[str]) -> Path:
    scenarios = list(dict.fromkeys(scenarios))  # two sides of one are one
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = "+".join(scenarios) if len(scenarios) <= _MOST_NAMES else f"{len(scenarios)}-scenarios"
    path = Path(RESULTS_FOLDER, f"{stamp}-{name}")
    again = 2
    while path.exists():
        path = Path(RESULTS_FOLDER, f"{stamp}-{name}-{again}")
        again += 1
    return path
