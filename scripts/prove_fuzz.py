"""Fuzzing of everything that takes bytes of others: the pgoutput decoder and its kin in C, result, log, scenario, flow.

Each target in a process of its own for so many minutes. Targets in C run in an AddressSanitizer build. With --engine
atheris (fetched into build/fuzz and nowhere else; C needs clang as well) libFuzzer sees what an input reached; else
inputs are mutated from seeds blindly. What an input does wrong stops its target; the input is kept in
build/fuzz/crashes. Prints a line of JSON a target.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from _sanitized import ROOT, Build, build

FOLDER = ROOT / "build" / "fuzz"
IN_C = ("pgoutput", "stored", "texts", "arrays")
IN_PYTHON = ("result", "log", "scenario", "flow")
ATHERIS = "atheris==3.0.0"
_EVERY = 256  # inputs between two looks at the clock


def mutate(name: str, seconds: float, seed: int) -> int:
    """In the child: blind mutation; prints how many inputs there were."""
    from _fuzz_targets import TARGETS
    from _mutating import Mutator

    target, mutator = TARGETS[name], Mutator(TARGETS[name].seeds, seed)
    deadline, inputs = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        for _ in range(_EVERY if name in IN_C else 8):
            data = mutator.draw()
            inputs += 1
            try:
                target.take(data)
            except BaseException:
                _keep(name, data)
                raise
    print(json.dumps({"inputs": inputs}))
    return 0


def _keep(name: str, data: bytes) -> None:
    folder = FOLDER / "crashes"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{time.time_ns()}").write_bytes(data)


def cover(name: str, seconds: float, seed: int) -> int:
    """In the child: libFuzzer by atheris; it ends the process."""
    sys.path.insert(0, str(FOLDER / "site"))
    import atheris

    with atheris.instrument_imports(include=["pgflow_stress", "hdrh"]):
        from _fuzz_targets import TARGETS
    corpus = FOLDER / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(TARGETS[name].seeds):
        (corpus / f"seed{number}").write_bytes(one)
    crashes = FOLDER / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    arguments = ["fuzz", str(corpus), f"-max_total_time={round(seconds)}", f"-seed={seed}", "-max_len=4096",
                 f"-artifact_prefix={crashes}/{name}-", "-rss_limit_mb=4096", "-timeout=20",
                 "-print_final_stats=1"]  # fmt: skip
    atheris.Setup(arguments, TARGETS[name].take)
    atheris.Fuzz()
    return 0


def fetch_atheris() -> None:
    """Atheris into a folder of its own.

    Raises:
        RuntimeError: it does not install.
    """
    site = FOLDER / "site"
    if (site / "atheris").is_dir():
        return
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        site,
        "--only-binary",
        ":all:",
        ATHERIS,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{ATHERIS} does not install: {done.stderr[-500:]}")


def prove(name: str, engine: str, seconds: float, seed: int, made: Build | None) -> bool:
    """Fuzz one target; whether nothing was found."""
    environment = dict(made.environment if made else os.environ)
    if engine == "atheris" and made is not None:
        environment["LD_PRELOAD"] = str(FOLDER / "site" / "asan_with_fuzzer.so")
    command = [sys.executable, str(Path(__file__)), "--child", name, "--engine", engine, "--seconds", str(seconds)]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--seed", str(seed)], env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=seconds + 300,
    )  # fmt: skip
    said = made.reports() if made else []
    line = {
        "proof": "fuzz", "target": name, "engine": engine, "sanitizer": made.kind if made else None,
        "inputs": _inputs(done.stdout, done.stderr), "exit": done.returncode, "reports": said[:3],
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    print(json.dumps(line), flush=True)
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
    return not done.returncode and not said


def _inputs(out: str, err: str) -> int:
    for text in reversed((out + err).splitlines()):
        if text.startswith("{"):
            return int(json.loads(text)["inputs"])
        if text.startswith("stat::number_of_executed_units:"):
            return int(text.split()[-1])
    return 0


def main() -> int:
    """0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=[*IN_C, *IN_PYTHON], metavar="TARGET")
    parser.add_argument("--minutes", type=float, default=10.0, help="a target")
    parser.add_argument("--engine", choices=("mutate", "atheris"), default="mutate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return (cover if asked.engine == "atheris" else mutate)(asked.child, asked.seconds, asked.seed)
    if unknown := set(asked.targets) - {*IN_C, *IN_PYTHON}:
        parser.error(f"no such target: {', '.join(unknown)}")
    if asked.engine == "atheris":
        fetch_atheris()
    needs_build = any(name in IN_C for name in asked.targets)
    made = build("fuzzer" if asked.engine == "atheris" else "address") if needs_build else None
    clean = [
        prove(name, asked.engine, asked.minutes * 60, asked.seed, made if name in IN_C else None)
        for name in asked.targets
    ]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
