"""What a set-up needs of the system: a compiler, Python's headers, venv; installed by apt where it asks nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ext"))
from libpq_build import compiler

_APT_PATIENCE = "DPkg::Lock::Timeout=300"  # seconds that another apt may take

BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # any of them will do


class SetUpError(Exception):
    """One line for the user: what is missing and what to type. Ends with exit code 3."""


def say(line: str) -> None:
    """A line of progress; standard output stays free for the command's data."""
    print(f"set-up: {line}", file=sys.stderr, flush=True)


def ensure_packages(log: Path, *, environment: bool) -> None:
    """A C compiler, Python's headers, and what an environment is made with if one is to be, all by one installation.

    Raises:
        SetUpError: something is missing, and it may not be installed without a question.
    """
    missing: list[str] = []
    if not _compiles("#include <stdio.h>\nint main(void) { return 0; }\n"):
        missing += ["gcc", "libc6-dev"]
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append(_python_package("dev"))
    if environment and not any(_has(module) for module in ("ensurepip", "pip", "virtualenv")):
        missing.append(_python_package("venv"))
    if missing:
        _install(missing, log)
    if not _compiles("#include <Python.h>\nint main(void) { return Py_IsInitialized(); }\n"):
        raise SetUpError(f"no C program with Python's headers compiles with {compiler()[0]!r}")


def ensure_certificates(log: Path) -> None:
    """The authorities that the npm registry's certificate is checked against; pip brings its own.

    Absence is no fault yet: npm's settings or the environment may name others.
    """
    if os.environ.get("SSL_CERT_FILE") or any(Path("/etc/ssl/certs").glob("*")) or Path("/etc/pki").exists():
        return
    try:
        _install(["ca-certificates"], log)
    except SetUpError as fault:
        say(str(fault))


def ensure_onlookers(log: Path) -> None:
    """Chromium and tmux, for the tests that look at pages and at a terminal. Absence is no fault yet: they say so."""
    missing = [] if any(shutil.which(name) for name in BROWSERS) else ["chromium"]
    missing += [] if shutil.which("tmux") else ["tmux"]
    if not missing:
        return
    try:
        _install(missing, log)
    except SetUpError as fault:
        say(str(fault))


def fetch_pooler(folder: Path, log: Path) -> None:
    """PgBouncer, for the tests of poolers: Debian's packages unpacked, not installed, so that no service is started.

    Absence is no fault yet: they say what to type.
    """
    if shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") or folder.exists():
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return
    say("fetching pgbouncer")
    with tempfile.TemporaryDirectory(dir=folder.parent) as fetched:
        archives, unpacked = Path(fetched, "archives"), Path(fetched, "unpacked")
        Path(archives, "partial").mkdir(parents=True)
        if os.geteuid() == 0:
            _update(["env"], log)
        options = ["-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={archives}"]
        try:
            run(["apt-get", "install", "-y", "--no-install-recommends", "--download-only", *options, "pgbouncer"],
                log, "pgbouncer cannot be fetched")  # fmt: skip
            for package in archives.glob("*.deb"):
                run(["dpkg-deb", "-x", str(package), str(unpacked)], log, f"{package.name} cannot be unpacked")
        except SetUpError as fault:
            say(str(fault))
            return
        if unpacked.exists():
            unpacked.rename(folder)


def make_environment(venv: Path, log: Path) -> None:
    """A virtual environment with pip in it, by whatever this Python has.

    Raises:
        SetUpError: it failed.
    """
    if _asks([sys.executable, "-c", "import ensurepip, venv"]):
        run([sys.executable, "-m", "venv", str(venv)], log, "the virtual environment cannot be made")
    elif _has("pip"):  # Debian without python3-venv: that pip installs another one into the new environment
        run([sys.executable, "-m", "venv", "--without-pip", str(venv)], log, "the virtual environment cannot be made")
        inside = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--quiet", "pip"]
        run(inside, log, "pip cannot be installed into the virtual environment")
    else:
        run([sys.executable, "-m", "virtualenv", str(venv)], log, "the virtual environment cannot be made")


def clean_environment(first_on_path: str | None = None) -> dict[str, str]:
    """The user's environment, less what would send pip or Python elsewhere than into .venv."""
    dropped = {
        "PYTHONPATH",
        "PYTHONHOME",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_REQUIRE_VIRTUALENV",
        "VIRTUAL_ENV",
    }
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    kept |= {
        "PIP_USER": "0",
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    if first_on_path:
        kept["PATH"] = f"{first_on_path}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept


def run(command: list[str], log: Path, failure: str, first_on_path: str | None = None) -> str:
    """Run a command with its output in the log and nothing to read from; what it said.

    Raises:
        SetUpError: it failed; carries `failure`, the last line that it said, and where the rest is.
    """
    with log.open("ab") as output:
        output.write(f"$ {' '.join(command)}\n".encode())
        output.flush()
        start = output.tell()
        code = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean_environment(first_on_path),
            close_fds=False,
            check=False,
        ).returncode
    text = log.read_bytes()[start:].decode(errors="replace")
    if code:
        raise SetUpError(f"{failure} ({_reason(text, code)}); the whole output is in {log}")
    return text


def _reason(text: str, code: int) -> str:
    """The line that tells most: a compiler's with its place, else the first called an error, else the last."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    placed = [line for line in said if re.search(r"\.\w+:\d+:\d+: (?!warning|note)", line)]
    called = [line for line in said if re.match(r"error|e:|fatal|set-up:", line, re.IGNORECASE)]
    return (placed or called or said[-1:] or [f"exit code {code}"])[0]


def _install(packages: list[str], log: Path) -> None:
    """Install system packages, or say what to type.

    Raises:
        SetUpError: there is no apt, or it would need a password.
    """
    named = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise SetUpError(f"needs what Debian calls {named}; install your system's packages for it")
    if os.geteuid() == 0:
        first = ["env"]
    elif shutil.which("sudo") and _asks(["sudo", "-n", "true"]):
        first = ["sudo", "-n", "env"]
    else:
        raise SetUpError(f"needs {named}; type: sudo apt-get install -y {named}")
    say(f"installing {named} with apt")
    apt = [*first, "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "apt-get", "-o", _APT_PATIENCE]
    _update(first, log)
    failure = f"'apt-get install -y {named}' failed"
    run([*apt, "install", "-y", "--no-install-recommends", *packages], log, failure)


def _update(first: list[str], log: Path) -> None:
    try:
        run([*first, "apt-get", "-o", _APT_PATIENCE, "update"], log, "apt-get update failed")
    except SetUpError as fault:
        say(f"{fault}; going on with the lists that are there")


def _python_package(part: str) -> str:
    """Debian's package of a part of this Python, "python3.11-dev".

    Raises:
        SetUpError: this Python is not the system's, so no package can complete it.
    """
    if Path(sys.base_prefix) != Path("/usr"):
        raise SetUpError(
            f"{sys.executable} came without its {part} files; put /usr/bin first on the PATH, or mend that Python"
        )
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-{part}"


def _compiles(program: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(program)
        return _asks(
            [*compiler(), f"-I{sysconfig.get_path('include')}", "-c", str(source), "-o", str(Path(folder, "probe.o"))]
        )


def _has(module: str) -> bool:
    # A process of its own: a package that has just been installed is not seen by this one's import system.
    return _asks([sys.executable, "-c", f"import {module}"])


def _asks(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
