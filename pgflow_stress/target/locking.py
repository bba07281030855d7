"""Locks that die with their holder: flock on files, kept by every forked child that inherits the descriptor."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file exclusively, waiting for it; an interrupt ends the wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file if nobody does: yields whether it is held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


class Lease:
    """Says that a user of a server is alive: a file that he, or a child of his, holds locked. kill -9 frees it."""

    def __init__(self, folder: Path, lease_id: str) -> None:
        """Take it; the caller holds the lock that guards the folder."""
        self.lease_id = lease_id
        self._path = folder / f"{lease_id}.lease"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def end(self) -> None:
        """Give it up; a second call does nothing."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def live_leases(folder: Path) -> dict[str, int]:
    """Lease id → pid of who took it, of those still held."""
    found: dict[str, int] = {}
    for path in folder.glob("*.lease"):
        if _is_held(path):
            with contextlib.suppress(OSError, ValueError):
                found[path.stem] = int(path.read_text() or 0)
    return found


def remove_dead_leases(folder: Path) -> None:
    """Unlink the files of dead holders. The caller holds the instance's lock, so that none is just being made."""
    for path in folder.glob("*.lease"):
        if not _is_held(path):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
