"""The set-up's own rules: what the locks hold, what a stamp sees, how a step that was killed is mended."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements-build.txt", "requirements.txt", "requirements-dask.txt", "requirements-test.txt")
SCRIPTS = ("stress", "dask", "test", "build", "lint", "lock", "bench", "prove", "reference")
BLOCK = re.compile(r"^[^\s#].*(?:\n[ \t]+.*)*", re.MULTILINE)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """scripts/_setup.py, its notes in a folder of the test."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    module = importlib.import_module("_setup")
    monkeypatch.setattr(module, "NOTES", tmp_path)
    return module


def names(lock: str) -> set[str]:
    return {block.split("==")[0] for block in BLOCK.findall((ROOT / lock).read_text())}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_by_version_and_hash_and_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()

    blocks = BLOCK.findall(text)

    assert blocks
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert not re.search(r"^\s*-(i|f|-index|-extra|-find)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_brings_a_second_libpq(lock: str) -> None:
    assert not names(lock) & {"psycopg-binary", "psycopg-pool", "psycopg2", "psycopg2-binary"}


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[<>=!~ ]", line)[0] for line in project["dependencies"]}
    tests = {re.split(r"[\[<>=!~ ]", line)[0] for line in project["optional-dependencies"]["test"]}

    dask = {re.split(r"[\[<>=!~ ]", line)[0] for line in project["optional-dependencies"]["dask"]}

    assert wanted <= names("requirements.txt")
    assert wanted | dask <= names("requirements-dask.txt")
    assert wanted | tests | dask <= names("requirements-test.txt")


def test_the_locks_agree_where_they_overlap() -> None:
    pins: dict[str, set[str]] = {}
    for lock in LOCKS:
        for block in BLOCK.findall((ROOT / lock).read_text()):
            pins.setdefault(block.split()[0].split("==")[0], set()).add(block)

    several = {name for name, blocks in pins.items() if len({block.split(";")[0].split()[0] for block in blocks}) > 1}

    assert several <= {"numpy", "scipy"}  # a release for Python 3.11, one for later


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_executed_and_parsed(name: str) -> None:
    script = ROOT / "scripts" / name

    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_the_package_that_is_built_here_is_installed_apart(steps: ModuleType) -> None:
    pinned, source = steps._split((ROOT / "requirements.txt").read_text())

    assert source.startswith("psycopg-c==")
    assert "psycopg-c==" not in pinned
    assert "psycopg==" in pinned


def test_a_step_that_is_done_is_not_done_again(steps: ModuleType) -> None:
    done: list[str] = []

    for content in ("one", "one", "two"):
        steps._step("packages", content, "…", lambda content=content: done.append(content))

    assert done == ["one", "two"]


def test_a_step_that_was_killed_leaves_its_mark(steps: ModuleType, tmp_path: Path) -> None:
    def killed() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        steps._step("packages", "one", "…", killed)

    assert (tmp_path / "working").exists()
    assert not steps._is_usable()


def test_a_step_that_failed_by_itself_leaves_none_and_is_done_again(steps: ModuleType, tmp_path: Path) -> None:
    def failing() -> None:
        raise steps.SetUpError("no network")

    with pytest.raises(steps.SetUpError):
        steps._step("packages", "one", "…", failing)

    assert list(tmp_path.iterdir()) == []


def test_an_environment_of_a_checkout_that_was_moved_is_not_used(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(steps, "PYTHON", Path(sys.executable))
    before = steps._is_usable()

    (tmp_path / "root").write_text("/where/it/was")

    assert before
    assert not steps._is_usable()


def test_pip_is_told_nothing_that_leads_it_out_of_the_environment(
    steps: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.test/")

    environment = steps.clean_environment("/first")

    assert "PIP_TARGET" not in environment
    assert environment["PIP_USER"] == "0"
    assert environment["PIP_INDEX_URL"] == "http://index.test/"
    assert environment["PATH"].startswith("/first:")


def test_a_failed_command_is_told_in_one_line_with_its_reason(steps: ModuleType, tmp_path: Path) -> None:
    failing = [
        sys.executable,
        "-c",
        "print('Collecting'); print('ERROR: no matching file'); print('see'); raise SystemExit(1)",
    ]
    log = tmp_path / "log"

    with pytest.raises(
        steps.SetUpError, match=r"^pip failed \(ERROR: no matching file\); the whole output is in .*log$"
    ):
        steps.run(failing, log, "pip failed")


def fingerprint_of(checkout: Path) -> str:
    ask = 'here=$1/scripts; . "$here/_setup.sh"; fingerprint'
    return subprocess.run(["sh", "-euc", ask, "sh", checkout], capture_output=True, text=True, check=True).stdout


def test_a_fingerprint_sees_locks_sources_and_the_place_and_nothing_else(tmp_path: Path) -> None:
    checkout = tmp_path / "with a space"
    (checkout / "scripts").mkdir(parents=True)
    (checkout / "ext" / "pgflow_stress_hot").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "_setup.sh", checkout / "scripts")
    hot = checkout / "ext" / "pgflow_stress_hot"
    seen = []

    for file in (checkout / "requirements.txt", hot / "clock.pyx", hot / "clock.pxd", checkout / "pyproject.toml"):
        seen.append(fingerprint_of(checkout))
        file.write_text("changed")
    seen.append(fingerprint_of(checkout))
    (hot / "clock.c").write_text("generated")
    (checkout / "README.md").write_text("words")

    assert len(set(seen)) == len(seen)
    assert fingerprint_of(checkout) == seen[-1]
