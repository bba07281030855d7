"""The extension built with a sanitizer, in a folder of its own, and how a Python runs with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pgflow_stress_hot"
_REPORT = re.compile(r"runtime error:|ERROR: AddressSanitizer|AddressSanitizer:DEADLYSIGNAL")
_OURS = re.compile(rf"{PACKAGE}[/.]")


@dataclass(frozen=True)
class Build:
    """Where the modules are, and what their process needs."""

    kind: str
    folder: Path
    logs: Path
    environment: dict[str, str]

    def reports(self) -> list[str]:
        """What the sanitizer said, the first line of each report; of leaks only those of our own code."""
        said = []
        for log in sorted(self.logs.glob("log.*")):
            text = log.read_text(errors="replace")
            said += [line.strip() for line in text.splitlines() if _REPORT.search(line)]
            blocks = re.split(r"\n\n", text)
            said += [block.splitlines()[0] for block in blocks if " leak of " in block and _OURS.search(block)]
        return said


def build(kind: str) -> Build:
    """Build every module with a sanitizer.

    Args:
        kind: address or undefined, gcc's; or fuzzer, clang's coverage with address.
    Raises:
        RuntimeError: it does not compile, or does not load.
    """
    folder = ROOT / "build" / f"sanitized-{kind}"
    library, logs = folder / "lib", folder / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    environment = {**os.environ, "PGFLOW_STRESS_SANITIZE": "fuzzer-no-link,address" if kind == "fuzzer" else kind}
    if kind == "fuzzer":
        environment |= {"CC": "clang", "LDSHARED": "clang -shared"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", library, "--build-temp", folder / "tmp"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the {kind} build failed: {done.stderr[-1500:]}")
    shutil.copy(ROOT / "ext" / PACKAGE / "__init__.py", library / PACKAGE)
    made = Build(kind, library, logs, _environment(kind, library, logs))
    _require_loaded(made)
    return made


def _environment(kind: str, library: Path, logs: Path) -> dict[str, str]:
    common = f"log_path={logs / 'log'}:print_stacktrace=1:halt_on_error=1"
    settings = {
        **os.environ,
        "CI": "1",  # hypothesis's profile without deadlines: a sanitized call takes its time
        "PYTHONPATH": str(library),
        "PYTHONMALLOC": "malloc",  # each object a block of its own, so that an access beside it is seen
        "UBSAN_OPTIONS": common,
        # What the interpreter keeps until it ends is no leak of ours; reports() picks those with our frames.
        "ASAN_OPTIONS": f"{common}:detect_leaks={int(kind == 'address')}:allocator_may_return_null=1:"
        "detect_stack_use_after_return=0",
        "LSAN_OPTIONS": "exitcode=0:report_objects=0",
    }
    if kind == "address":
        settings["LD_PRELOAD"] = _runtime("libasan.so")
    elif kind == "undefined":
        settings["LD_PRELOAD"] = _runtime("libubsan.so")
    return settings


def _runtime(name: str) -> str:
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
    return str(Path(found.strip()).resolve(strict=True))


def _require_loaded(made: Build) -> None:
    code = f"import {PACKAGE}.recorder as one; print(one.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=made.environment, capture_output=True, text=True, check=False
    )
    if done.returncode or not done.stdout.startswith(str(made.folder)):
        raise RuntimeError(f"the {made.kind} build does not load: {done.stdout}{done.stderr[-1500:]}")
