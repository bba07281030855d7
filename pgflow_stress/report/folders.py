"""Where the files of several results go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.report.saved import Saved, folder_names


def folders(saved: Sequence[Saved], path: Path) -> list[Path]:
    """A folder a result, made: `path` itself for one, NN-name below it for several.

    Raises:
        RunFailed: one cannot be made.
    """
    made = [path] if len(saved) == 1 else [path / name for name in folder_names(saved)]
    for folder in made:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFailed(f"{folder} could not be made: {error.strerror or error}") from None
    return made
