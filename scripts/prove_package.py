"""What is released, made and used away from the checkout: sdist, a wheel out of it in isolation, an empty environment.

The tree is that of HEAD. With --python each interpreter that is named gets a checkout of its own, which scripts/stress
sets up with it and runs a small job in, and then the unit tests.
Prints a line of JSON a step; 1 where one did not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from _planted import tell

ROOT = Path(__file__).resolve().parents[1]
_SDIST = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
_SMALL = ("run", "single-flow", "--steps", "20", "--repetitions", "1", "--warmup", "0", "--json", "-")


def export(folder: Path) -> Path:
    """HEAD's tree, without what lies about."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def environment(folder: Path, python: str = sys.executable) -> Path:
    """An empty environment; its Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def pip(python: Path, *arguments: object) -> None:
    """Quietly, and where it fails not."""
    quiet = ("--quiet", "--disable-pip-version-check")
    done = subprocess.run(
        [python, "-m", "pip", *map(str, arguments), *quiet], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"pip {' '.join(map(str, arguments))}: {done.stderr[-2000:]}")


def package(folder: Path) -> bool:
    """sdist, wheel, an environment with nothing but it: whether each is whole."""
    tree = export(folder / "tree")
    builder = environment(folder / "builder")
    pip(builder, "install", "--no-deps", "-r", tree / "requirements-build.txt")
    subprocess.run([builder, "-c", _SDIST, folder], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    sources = {name.removesuffix(".pyx") for name in inside if name.endswith(".pyx")}
    lacking = sorted(name for name in sources if f"{name}.pyi" not in inside)
    whole = bool(sources) and not lacking and "ext/libpq_build.py" in inside
    tell(step="sdist", files=len(inside), modules=len(sources), without_stub=lacking, held=whole)

    pip(builder, "wheel", "--no-deps", "--no-cache-dir", "-w", folder, sdist)  # in pip's isolation
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    typed = all(f"{name}/py.typed" in names for name in ("pgflow_stress", "pgflow_stress_hot"))
    built = sum(name.endswith(".so") for name in names)
    strays = [name for name in names if name.endswith((".c", ".pyx"))]
    held = typed and built == len(sources) and not strays
    tell(step="wheel", modules=built, typed=typed, sources_inside=strays, held=held)
    return whole and held


def checkout(folder: Path, python: str, tests: bool) -> bool:
    """A checkout on another Python, set up by its own script: a small job, and the unit tests where they are wanted."""
    tree = export(folder / "checkout")
    first = folder / "bin"
    first.mkdir()
    (first / "python3").symlink_to(python)
    variables = {
        **os.environ, "PATH": f"{first}{os.pathsep}{os.environ['PATH']}", "PGFLOW_STRESS_STATE": str(folder / "state"),
    }  # fmt: skip
    variables.pop("VIRTUAL_ENV", None)
    ran = subprocess.run([tree / "scripts/stress", *_SMALL], env=variables, capture_output=True, text=True, check=False)
    found = subprocess.run([tree / ".venv/bin/python", "--version"], capture_output=True, text=True, check=False)
    held = ran.returncode == 0
    tell(
        step="run",
        python=found.stdout.strip(),
        code=ran.returncode,
        said=ran.stderr[-500:] if not held else "",
        held=held,
    )
    if held and tests:
        command = [tree / "scripts/test", "-q", "-n", "0", "tests/unit", "tests/property"]
        tested = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        held = tested.returncode == 0
        *lines, last = tested.stdout.strip().splitlines() or [""]
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        tell(step="tests", python=found.stdout.strip(), code=tested.returncode, said=last, failed=failed, held=held)
    return held


def main() -> int:
    """Every step; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="an interpreter for a checkout; may be repeated")
    parser.add_argument("--no-tests", action="store_true", help="on other Pythons only the small job")
    given = parser.parse_args()
    held = []
    with tempfile.TemporaryDirectory(prefix="pgflow-package-") as folder:
        Path(folder).chmod(0o755)  # the server's own user passes
        held.append(package(Path(folder)))
        for number, python in enumerate(given.python):
            inner = Path(folder, str(number))
            inner.mkdir()
            held.append(checkout(inner, python, not given.no_tests))
    tell(proof="package", held=all(held))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
