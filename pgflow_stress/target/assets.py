"""The SQL that is installed into a target: pgflow's migrations out of npm, pgmq's script out of PyPI, both verified.

A download is kept as it came, in the user's cache, and is checked again whenever it is used: so a cache that was
damaged or tampered with mends itself, and with the cache warm no network is needed.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.paths import cache_dir
from pgflow_stress.target import npm_registry

PGFLOW_VERSION = "0.8.1"
PGMQ_VERSION = "1.13.0"

_PACKAGE = "@pgflow/core"
_MIGRATIONS = "package/dist/supabase/migrations/"
_PINNED = {
    "0.8.1": "sha512-ElLPkKGPjttBsjlLJfn4CcMeiFwtuUhUNuFADwhQjdrg+netkeONY12oxcbPSBMqBWXVAuKriLq+1T1dCPEWPQ==",
}
_PGMQ_SHA512 = (
    "dc93b1d8c3f4252844d48e8b6e9e1bae59c5f01f32c55ca18eb6444eafa67e58"
    "861496356800170ff9d54187b56b5288de68b4fc6a13f00d6b73a5259c75e10a"
)
_MAX_BYTES = 64 * 1024 * 1024  # unpacked migrations; they are a few hundred KiB
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")

Say = Callable[[str], None]


def pgflow_migrations(version: str, say: Say) -> Path:
    """A directory with the migrations of one npm version of pgflow, file names in their order.

    Args:
        version: exact, as npm writes it: "0.8.1".
        say: takes a line of progress where something is downloaded.
    Raises:
        SetUpFault: it cannot be had, or is not what was pinned.
    """
    if not _VERSION.fullmatch(version):
        raise SetUpFault(f"pgflow {version!r} is neither a directory nor an exact npm version like {PGFLOW_VERSION}")
    folder = cache_dir() / "pgflow"
    try:
        content = _cached(folder, version) or _downloaded(folder, version, say)
        return _unpacked(folder, version, _members(content, version))
    except OSError as fault:
        raise SetUpFault(
            f"the cache {fault.filename or folder} is unusable: {fault.strerror}; name another in PGFLOW_STRESS_CACHE"
        ) from fault


def pgmq_sql() -> tuple[str, Path]:
    """The version and the script of pgmq, as the pinned PyPI package carries them. The package is not imported.

    Raises:
        SetUpFault: it is absent or not the pinned one.
    """
    spec = importlib.util.find_spec("pgmq")
    if spec is None or spec.origin is None:
        raise SetUpFault("pgmq's SQL is not installed; run scripts/build")
    folder = Path(spec.origin).parent / "sql"
    script = folder / "pgmq.sql"
    try:
        version = (folder / "VERSION").read_text(encoding="utf-8").strip()
        digest = hashlib.sha512(script.read_bytes()).hexdigest()
    except OSError as fault:
        raise SetUpFault(f"pgmq's SQL is not where its package keeps it ({fault}); run scripts/build") from fault
    if version != PGMQ_VERSION or digest != _PGMQ_SHA512:
        raise SetUpFault(f"pgmq's SQL says {version} and is not the {PGMQ_VERSION} that was pinned; run scripts/build")
    return version, script


def _cached(folder: Path, version: str) -> bytes | None:
    """The tarball, if it is there and still what it was."""
    try:
        content = (folder / f"{version}.tgz").read_bytes()
        expected = _PINNED.get(version) or (folder / f"{version}.integrity").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return content if expected in _integrities(content) else None


def _downloaded(folder: Path, version: str, say: Say) -> bytes:
    say(f"downloading pgflow {version} from npm")
    try:
        tarball = npm_registry.fetch(_PACKAGE, version)
    except npm_registry.RegistryError as fault:
        raise SetUpFault(
            f"pgflow {version} cannot be downloaded: {fault}; check npm's settings, or name a directory with --pgflow"
        ) from fault
    expected = _PINNED.get(version) or tarball.integrity or ""
    if not set(expected.split()) & _integrities(tarball.content):
        pinned = "pinned" if version in _PINNED else "told by the registry"
        raise SetUpFault(
            f"pgflow {version} as downloaded does not match the hash {pinned}; check npm's registry setting"
        )
    if version not in _PINNED:
        say(f"pgflow {version} has no pinned hash here: checked against the one its registry tells")
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / f"{version}.integrity", max(_integrities(tarball.content)).encode())
    _replace(folder / f"{version}.tgz", tarball.content)
    return tarball.content


def _integrities(content: bytes) -> set[str]:
    """The strong hashes in npm's notation; sha1, which old packages have, is not among them."""
    return {
        f"{name}-{base64.b64encode(hashlib.new(name, content).digest()).decode()}"
        for name in ("sha256", "sha384", "sha512")
    }


def _members(content: bytes, version: str) -> dict[str, bytes]:
    """The migrations by file name, read in memory: no path out of an archive reaches the disk.

    Raises:
        SetUpFault: the archive has none, or is no archive.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix(_MIGRATIONS)
                if not member.isfile() or name == member.name or "/" in name or not name.endswith(".sql"):
                    continue
                if member.size + sum(map(len, files.values())) > _MAX_BYTES:
                    raise SetUpFault(f"pgflow {version}: its migrations are larger than any that were published")
                source = archive.extractfile(member)
                files[name] = source.read() if source else b""
    except (tarfile.TarError, EOFError) as fault:
        raise SetUpFault(f"pgflow {version} as published is no archive that can be read: {fault}") from fault
    if not files:
        raise SetUpFault(f"pgflow {version} carries no migrations; name a directory of them with --pgflow")
    return files


def _unpacked(folder: Path, version: str, files: dict[str, bytes]) -> Path:
    """A directory with exactly these files; made beside and renamed, so that two at once get the same whole one."""
    target = folder / version
    if _holds(target, files):
        return target
    fresh = Path(tempfile.mkdtemp(prefix=f"{version}.", dir=folder))
    try:
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        fresh.chmod(0o755)
        _swap(fresh, target, files)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _swap(fresh: Path, target: Path, files: dict[str, bytes]) -> None:
    """Put a whole directory in the place of an absent or a damaged one."""
    try:
        fresh.rename(target)
    except OSError:
        if _holds(target, files):  # another call was quicker
            return
        damaged = Path(tempfile.mkdtemp(prefix="damaged.", dir=target.parent))
        target.replace(damaged / target.name)
        shutil.rmtree(damaged)
        fresh.rename(target)


def _holds(target: Path, files: dict[str, bytes]) -> bool:
    try:
        found = {file.name: file.read_bytes() for file in target.iterdir()}
    except OSError:
        return False
    return found == files


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    handle, fresh = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink()
        raise


if __name__ == "__main__":  # scripts/_setup.py fetches ahead with it
    try:
        pgmq_sql()
        pgflow_migrations(PGFLOW_VERSION, print)
    except SetUpFault as fault:
        sys.exit(f"set-up: {fault}")
