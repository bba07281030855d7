"""Extensions and their flags; everything else is in pyproject.toml."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, "ext")  # a build backend does not put the project on the path
from libpq_build import build_libpq

PACKAGE = "pgflow_stress_hot"
DEBUG = bool(os.environ.get("PGFLOW_STRESS_DEBUG"))
# PGFLOW_STRESS_SANITIZE=address, undefined or (clang's) fuzzer-no-link, joined by commas: for scripts/prove alone, and
# with --build-lib, so that what is installed stays as it is.
SANITIZERS = os.environ.get("PGFLOW_STRESS_SANITIZE", "")
SANITIZE = [f"-fsanitize={SANITIZERS}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"] if SANITIZERS else []
FLAGS = ["-O0", "-g"] if DEBUG else ["-O1", "-g", *SANITIZE] if SANITIZE else ["-O3", "-g"]
# Cython's own output keeps parameters and functions that a module happens not to use.
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-unused-function", "-Wno-missing-field-initializers"]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}


class BuildModules(build_ext):
    """Cython and the choice of libpq, only when something is really built: metadata need neither."""

    def run(self) -> None:
        """Translate what is out of date, then compile and link it."""
        if self.extensions:
            libpq = build_libpq()
            translated = cythonize(
                self.extensions,
                include_path=["ext"],
                annotate=DEBUG,
                build_dir=str(Path(self.build_temp, "c")) if SANITIZE else None,
                force=self.force,
                nthreads=_translators(),
                compiler_directives=DIRECTIVES,
            )
            by_name = {module.name: module for module in translated}
            for module in self.extensions:
                module.sources = by_name[module.name].sources
                module.depends = by_name[module.name].depends
                module.include_dirs.append(str(libpq.include_dir))
                module.library_dirs.append(str(libpq.library_dir))
        super().run()


def _translators() -> int:
    """Processes for Cython; 0, itself alone, where no semaphore can be made (no writable shared memory)."""
    try:
        multiprocessing.Lock()
    except (ImportError, OSError):
        return 0
    return os.cpu_count() or 1


def modules() -> list[Extension]:
    """One a .pyx. Only those that call libpq link it: importing any other must not settle which libpq is loaded."""
    folder = Path("ext", PACKAGE)
    return [
        Extension(
            f"{PACKAGE}.{source.stem}",
            [source.as_posix()],
            libraries=["pq"] if "libpq.PQ" in source.read_text(encoding="utf-8") else [],
            include_dirs=[folder.as_posix()],
            extra_compile_args=FLAGS + WARNINGS,
            extra_link_args=SANITIZE,
            depends=[header.as_posix() for header in sorted(folder.glob("*.h"))],
        )
        for source in sorted(folder.glob("*.pyx"))
    ]


setup(
    ext_modules=modules(),
    cmdclass={"build_ext": BuildModules},
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
