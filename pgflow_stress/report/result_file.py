"""result.json and index.json: strict JSON, whole or not there at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from pgflow_stress.core.errors import RunFailed, UsageFault
from pgflow_stress.core.result import INDEX_SCHEMA, SCHEMA, Result, from_json, to_json
from pgflow_stress.report.layout import INDEX_FILE, RESULT_FILE

_MOST_DIGITS = 20  # of 64 bits, with a sign


def write_result(target: Path | TextIO, result: Result | Sequence[Result]) -> None:
    """Write one result, or an array of several, to a file (by rename) or to an open stream.

    Raises:
        ValueError: the result holds NaN or an infinity: JSON has neither.
        RunFailed: it could not be written; what stood there before is untouched.
    """
    document = to_json(result) if isinstance(result, Result) else [to_json(one) for one in result]
    text = dump(document)
    if isinstance(target, Path):
        write_atomically(target, text)
        return
    try:
        target.write(text)
        target.flush()
    except OSError as error:
        raise RunFailed(f"the result could not be written: {error.strerror or error}") from None


def dump(document: Any) -> str:
    """Strict JSON, indented, a line end at the end.

    Raises:
        ValueError: NaN or an infinity.
    """
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """numpy's scalars are numbers too."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file beside its place, then rename it: no reader sees half of it.

    Raises:
        RunFailed: it could not be written.
    """
    encoded = data.encode() if isinstance(data, str) else data
    name = ""
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            name = stream.name
            stream.write(encoded)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o666 & ~_umask())  # temporary files are private, results are like any other file
        Path(name).replace(path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise RunFailed(f"{path} could not be written: {error.strerror or error}") from None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def require_writable(path: Path) -> None:
    """Check, before anything is measured, that a file can be put at `path`; leaves nothing behind.

    Raises:
        UsageFault: it cannot.
    """
    if path.is_dir():
        raise UsageFault(f"{path} is a directory; give the name of a file")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageFault(f"{path} is not writable: {error.strerror or error}") from None


def write_index(directory: Path, entries: Sequence[tuple[str, str]]) -> None:
    """Write index.json of a directory.

    Args:
        directory: where the results' folders are.
        entries: (name, folder relative to the directory) of each result, in order.
    Raises:
        RunFailed: it could not be written.
    """
    results = [{"name": name, "path": path} for name, path in entries]
    write_atomically(directory / INDEX_FILE, dump({"schema": INDEX_SCHEMA, "results": results}))


def read_result(path: Path) -> Result | list[Result]:
    """Read a result: its file, its directory, an index or its directory, or an array as `--json` writes it.

    Returns:
        One result, or for an index and an array a list.
    Raises:
        UsageFault: absent, unreadable, not JSON, or not one of ours; one line says which.
    """
    located = read_located(path)
    results = [result for _, result in located]
    return results[0] if len(results) == 1 and not _is_several(path) else results


def _is_several(path: Path) -> bool:
    document = read_json(_file_of(path))
    return isinstance(document, list) or document.get("schema") == INDEX_SCHEMA


def read_located(path: Path) -> list[tuple[Path, Result]]:
    """As read_result, always a list, each with the folder that its files are in.

    Raises:
        UsageFault: as read_result.
    """
    file = _file_of(path)
    document = read_json(file)
    if isinstance(document, list):
        return [(file.parent, _result(file, one)) for one in document]
    if document.get("schema") != INDEX_SCHEMA:
        return [(file.parent, _result(file, document))]
    located = []
    for entry in document.get("results", []):
        folder = Path(str(entry.get("path", ""))) if isinstance(entry, dict) else Path()
        if folder.is_absolute() or ".." in folder.parts or folder == Path():
            raise UsageFault(f"{file}: {entry!r} is not a folder below it")
        located += read_located(file.parent / folder)
    return located


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (RESULT_FILE, INDEX_FILE):
        if (path / name).is_file():
            return path / name
    raise UsageFault(f"{path} has neither {RESULT_FILE} nor {INDEX_FILE}")


def read_json(file: Path) -> Any:
    """A JSON document or array.

    Raises:
        UsageFault: it cannot be read, or is none.
    """
    try:
        document = json.loads(
            file.read_text(encoding="utf-8"), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole
        )
    except OSError as error:
        raise UsageFault(f"cannot read {file}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageFault(f"{file} is not JSON: {error}") from None
    except RecursionError:
        raise UsageFault(f"{file} is not a {SCHEMA} document: it is nested too deeply") from None
    if not isinstance(document, dict | list):
        raise UsageFault(f"{file} is not a {SCHEMA} document")
    return document


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:_MOST_DIGITS]} finds no room in a number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:_MOST_DIGITS]}... finds no room in a number")
    return int(text)


def _result(file: Path, document: Any) -> Result:
    try:
        return from_json(document)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageFault(f"{file}: {error}") from None
