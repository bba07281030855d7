"""Which migrations make a pgflow: an npm version's, a directory's, or a project's own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.target.base import Say

_VERSION = re.compile(r"\d+\.\d+\.\d+([-+.][0-9A-Za-z.-]+)?\Z")
_NAME_IN_PROJECT = "pgflow"  # pgflow's own migrations carry it
# After their time stamps, one of which its installer adds: a project's others may have the word elsewhere.
_PGFLOWS = re.compile(r"\d+_(?:\d+_)?pgflow_")
_PROJECT_FOLDER = Path("supabase") / "migrations"


@dataclass(frozen=True, slots=True)
class Migrations:
    """Migrations in the order in which they are run."""

    label: str  # a version, or the name of a directory: no path
    version: str | None  # None for a directory
    files: tuple[tuple[str, str], ...]  # name, SQL
    sha256: str

    def mentions(self, word: str) -> bool:
        """Whether any of them uses a name, as a word of its own."""
        pattern = re.compile(rf"\b{re.escape(word)}\b")
        return any(pattern.search(text) for _, text in self.files)


def find_migrations(pgflow: str, say: Say) -> Migrations:
    """The migrations that `--pgflow` names.

    Raises:
        UsageFault: neither a version nor a directory with pgflow's migrations in it.
        SetUpFault: a version that can't be fetched.
    """
    if _VERSION.match(pgflow) and not Path(pgflow).is_dir():
        # Its imports are paid only where a version is asked for.
        from pgflow_stress.target.assets import pgflow_migrations  # noqa: PLC0415

        return _read(sorted(pgflow_migrations(pgflow, say).glob("*.sql")), pgflow, pgflow)
    return directory_migrations(Path(pgflow))


def directory_migrations(folder: Path) -> Migrations:
    """pgflow's migrations in a directory, or in a project's `supabase/migrations`; others are left out.

    Raises:
        UsageFault: there is no such directory, or none of its files is pgflow's.
    """
    if not folder.is_dir():
        raise UsageFault(f"--pgflow {folder}: neither a version such as 0.8.1 nor a directory of migrations")
    inside = folder / _PROJECT_FOLDER
    source = inside if inside.is_dir() else folder
    paths = sorted(path for path in source.glob("*.sql") if _PGFLOWS.match(path.name))
    if not paths:
        raise UsageFault(
            f"--pgflow {folder}: no migration there is called as pgflow's are (20250429164909_{_NAME_IN_PROJECT}_….sql)"
        )
    return _read(paths, folder.resolve().name, None)


def _read(paths: list[Path], label: str, version: str | None) -> Migrations:
    try:
        found = tuple((path.name, path.read_text(encoding="utf-8")) for path in paths)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(f"pgflow's migrations can't be read: {error}") from error
    if not found:
        raise UsageFault(f"pgflow {label} has no migrations")
    digest = hashlib.sha256()
    for name, text in found:
        digest.update(f"{name}\0{len(text.encode())}\0{text}".encode())
    return Migrations(label, version, found, digest.hexdigest())
