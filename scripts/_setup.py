"""Makes .venv what the locks and the sources ask for. Called by _setup.sh as `_setup.py PROFILE FINGERPRINT`.

One at a time, by a lock that also the children hold. Every step is skipped where its own key says that it is done, and
a step that was killed half way makes the next call start from an empty environment. Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from _system import (
    SetUpError,
    clean_environment,
    ensure_certificates,
    ensure_onlookers,
    ensure_packages,
    fetch_pooler,
    make_environment,
    run,
    say,
)

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NOTES = VENV / ".set-up"  # what has been done: a key a step, a stamp a profile
WORK = ROOT / ".setup"  # the lock and the log: they outlive a .venv that is made anew
LOG = WORK / "log"
POOLER = WORK / "pgbouncer"
RELEASE = f"{sys.version_info[0]}.{sys.version_info[1]}"
TEST_LOCK = "requirements-test.txt"
DASK_LOCK = "requirements-dask.txt"
BUILT_FROM_SOURCE = "psycopg-c"
EXIT_SET_UP = 3
EXIT_INTERRUPTED = 130


def main(profile: str, fingerprint: str) -> int:
    """Bring everything up to date for one profile; the exit code."""
    try:
        WORK.mkdir(exist_ok=True)
        lock = os.open(WORK / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        _wait_for(lock)
        # An orphaned pip goes on writing after its parent was killed: it must go on holding the lock, too.
        os.set_inheritable(lock, True)
        if profile == "build" or not _is_current(profile, fingerprint):
            LOG.write_bytes(b"")
            _set_up(profile, fingerprint)
    except SetUpError as fault:
        say(str(fault))
        return EXIT_SET_UP
    except OSError as fault:
        say(f"cannot write {fault.filename or ROOT}: {fault.strerror}; use a checkout that is yours")
        return EXIT_SET_UP
    except KeyboardInterrupt:
        say("interrupted; the next call takes it up again")
        return EXIT_INTERRUPTED
    return 0


def _wait_for(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another set-up of this checkout is running; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _is_current(profile: str, fingerprint: str) -> bool:
    """What _setup.sh asks, asked again under the lock: another call may have done it all meanwhile."""
    sources = (ROOT / "ext" / "pgflow_stress_hot").glob("*.pyx")
    built = all(any(source.parent.glob(f"{source.stem}.*.so")) for source in sources)
    stamp = NOTES / profile
    return (
        built
        and (VENV / "bin" / "pgflow-stress").exists()
        and stamp.exists()
        and stamp.read_text() == _stamp(fingerprint)
    )


def _stamp(fingerprint: str) -> str:
    python = PYTHON.stat()
    return f"{fingerprint}\n{python.st_size} {int(python.st_mtime)}"


def _set_up(profile: str, fingerprint: str) -> None:
    usable = _is_usable()
    ensure_packages(LOG, environment=not usable)
    ensure_certificates(LOG)
    if profile == "test":
        ensure_onlookers(LOG)
        fetch_pooler(POOLER, LOG)
    if not usable:
        _make_environment()
    NOTES.mkdir(exist_ok=True)
    _write(NOTES / "root", str(ROOT))
    for stamp in ("stress", "dask", "test"):
        if profile in (stamp, "build"):
            (NOTES / stamp).unlink(missing_ok=True)
    libpq = _packages(profile)
    _extension(libpq, forced=profile == "build")
    _prove()
    _assets()
    # Whose packages are there, whoever asked for them: the tests' lock has Dask in it too.
    done = {name: _is_done(name, _split((ROOT / name).read_text())[0]) for name in (DASK_LOCK, TEST_LOCK)}
    current = ["stress"] + ["dask"] * any(done.values()) + ["test"] * done[TEST_LOCK]
    for stamp in current:
        _write(NOTES / stamp, _stamp(fingerprint))


def _is_usable() -> bool:
    """An environment at this path, by a Python that is still the same release, with pip, and not half filled."""
    told = _answer([str(PYTHON), "-m", "pip", "--version"]) or ""
    moved = (NOTES / "root").exists() and (NOTES / "root").read_text() != str(ROOT)
    return f"python {RELEASE})" in told and not moved and not (NOTES / "working").exists()


def _make_environment() -> None:
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        say("starting again from an empty .venv")
        shutil.rmtree(VENV)
    say(f"making .venv with Python {RELEASE}")
    make_environment(VENV, LOG)


def _packages(profile: str) -> list[str]:
    """The pinned packages, by the user's own pip configuration; the libpq that psycopg-c was built against."""
    locks = ["requirements-build.txt", "requirements.txt"]
    locks += [DASK_LOCK] * (profile == "dask") + [TEST_LOCK] * (profile == "test")
    for name in locks:
        pinned, _ = _split((ROOT / name).read_text())
        _step(
            name,
            pinned,
            f"installing {name} (a few minutes the first time)",
            lambda pinned=pinned: _pip(pinned),  # type: ignore[misc]
        )
    found = _answer([str(PYTHON), str(ROOT / "ext" / "libpq_build.py")])
    if found is None:
        raise SetUpError("no libpq to build against; type: sudo apt-get install -y libpq-dev")
    libpq = found.splitlines()
    _, source = _split((ROOT / "requirements.txt").read_text())
    options = ["--no-cache-dir", "--no-binary", BUILT_FROM_SOURCE, "--force-reinstall"]
    _step(
        BUILT_FROM_SOURCE,
        source + found,
        f"building {BUILT_FROM_SOURCE} against the {libpq[0]} libpq {libpq[1]}",
        # Not out of pip's cache: a wheel there may have been built against another environment's libpq.
        lambda: _pip(source, *options, first_on_path=libpq[2]),
    )
    return libpq


def _split(lock: str) -> tuple[str, str]:
    """A lock's requirements, and apart from them the one that is built here."""
    blocks = re.findall(r"^[^\s#].*(?:\n[ \t]+.*)*", lock, re.MULTILINE)
    source = [block for block in blocks if block.startswith(f"{BUILT_FROM_SOURCE}==")]
    return "\n".join(block for block in blocks if block not in source), "\n".join(source)


def _pip(requirements: str, *options: str, first_on_path: str | None = None) -> None:
    listed = NOTES / "requirements.txt"
    _write(listed, requirements)
    command = [str(PYTHON), "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-build-isolation", *options]
    run([*command, "-r", str(listed)], LOG, "pip could not install the pinned packages", first_on_path)


def _extension(libpq: list[str], *, forced: bool) -> None:
    """Our own package, editable, with its modules built in place."""
    sources = sorted((ROOT / "ext" / "pgflow_stress_hot").glob("*.p[yx][xdi]"))
    modules = [source for source in sources if source.suffix == ".pyx"]
    absent = [module for module in modules if not any(module.parent.glob(f"{module.stem}.*.so"))]
    project = "".join((ROOT / name).read_text() for name in ("pyproject.toml", "setup.py"))
    editable = [str(PYTHON), "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    in_place = [str(PYTHON), "setup.py", "build_ext", "--inplace"]
    built = (
        "".join(_digest(source.read_bytes()) for source in sources)
        + "".join(libpq)
        + os.environ.get("PGFLOW_STRESS_DEBUG", "")
    )
    if (NOTES / "extension.working").exists():
        in_place.append("--force")  # a module may have been written by half
    if forced or absent or not (VENV / "bin" / "pgflow-stress").exists():
        (NOTES / "extension.key").unlink(missing_ok=True)
    # Apart from the rest, so that a source that does not compile leaves a working environment.
    _step("extension", project + built, "building the extension", lambda: _build(in_place, shown=forced))
    _step("project", project, "installing pgflow-stress itself", lambda: _build(editable))


def _build(command: list[str], *, shown: bool = False) -> None:
    """Run setuptools; `shown`: whoever asked for a build sees what the compilers complain about."""
    os.chdir(ROOT)  # setup.py and setuptools go by it
    start = LOG.stat().st_size
    try:
        run(command, LOG, "the extension does not build")
    finally:
        said = LOG.read_bytes()[start:].decode(errors="replace").split("Traceback (most recent", 1)[0]
        if shown and ("error" in said.lower() or "warning" in said):
            print(said, file=sys.stderr)


def _prove() -> None:
    """Load what was built the way a run does."""
    command = [str(PYTHON), "-m", "pgflow_stress.core.libpq"]
    if (ROOT / "pgflow_stress" / "core" / "libpq.py").exists():
        run(command, LOG, "what was built does not load")


def _assets() -> None:
    """pgflow's own migrations, so that later runs need no network. Not fatal: a run may bring its own."""
    try:
        if (ROOT / "pgflow_stress" / "target" / "assets.py").exists():
            run([str(PYTHON), "-m", "pgflow_stress.target.assets"], LOG, "pgflow's migrations are not here yet")
    except SetUpError as fault:
        say(str(fault))


def _step(name: str, content: str, line: str, do: Callable[[], None]) -> None:
    """Do a step unless its key says that it is done; mark it as half done while it runs."""
    if _is_done(name, content):
        return
    say(line)
    # Packages killed half way look installed: only an empty environment mends that. The extension is just rebuilt.
    working = NOTES / ("extension.working" if name == "extension" else "working")
    _write(working, name)
    try:
        do()
    except SetUpError:
        working.unlink()  # it ended by itself, and pip leaves nothing half done then
        raise
    working.unlink()
    _write(NOTES / f"{name}.key", _digest(content.encode()))


def _is_done(name: str, content: str) -> bool:
    note = NOTES / f"{name}.key"
    return note.exists() and note.read_text() == _digest(content.encode())


def _answer(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=clean_environment()
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
