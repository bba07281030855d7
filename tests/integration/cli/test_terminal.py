"""What a user sees: on terminals of several sizes, in files, and where there is no terminal at all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fixtures.terminals import PROMPT, Tmux, on_a_terminal
from tests.integration.target.helpers import opened, state_directory

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
TINY = ["run", "single-flow", "--steps", "40", "--workers", "1", "-r", "1", "--warmup", "0", "--telemetry", "off"]
LONG = [
    "run",
    "concurrent-flows",
    "--steps",
    "4",
    "--flows",
    "2",
    "--workers",
    "1",
    "--rate",
    "60",
    "--duration",
    "90s",
]
ROWS = ("concurrent-flows process", "rate  ", "backlog  ", "latency  ", "CPU  ")
SUMMARY = "how fast"


@pytest.fixture(scope="module")
def environment(prototype: Path) -> Iterator[dict[str, str]]:
    """Of a user at a terminal, whose server is up."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PGFLOW_STRESS_", "TMUX"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        kept.pop(name, None)
    with state_directory(prototype=prototype) as state, opened():
        yield {**kept, "PGFLOW_STRESS_STATE": str(state), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


def is_measuring(screen: str) -> bool:
    return all(row in screen for row in ROWS) and "not sampled yet" not in screen


def is_one_view(backlogs: int, screen: str) -> bool:
    counts = [screen.count(word) for word in ("concurrent-flows process", "rate  ", "backlog  ", "latency  ")]
    return counts == [1, 1, backlogs, backlogs]


def test_a_terminal_shows_the_course_and_through_every_change_of_its_size_there_is_one_view(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Tmux(80, 24, environment) as terminal:
        terminal.type(*PROGRAM, *LONG, "--telemetry-interval", "0.3s", "--json", str(tmp_path / "r.json"))

        usual = terminal.wait(is_measuring)
        assert re.search(r"\d tasks  [\d.]+ s, (1:|8)[\d:]+", usual)
        assert re.search(r"CPU +workers \d\.\d\d  server \d\.\d\d  tool \d\.\d\d", usual)
        for columns, lines in ((200, 50), (48, 24), (200, 50), (30, 5), (80, 24)):
            terminal.resize(columns, lines)
            terminal.wait(partial(is_one_view, 1 if lines > 5 else 0))
            time.sleep(0.6)  # drawn twice more
            assert is_one_view(1 if lines > 5 else 0, terminal.screen()), terminal.screen()
            assert terminal.shows_cursor()

        terminal.press("C-c")
        ended = terminal.wait(lambda screen: screen.endswith(PROMPT))

    assert SUMMARY in ended
    assert "exit code 130" in ended
    assert "rate  " not in ended
    assert "CPU  " not in ended


def test_at_the_end_the_view_is_gone_and_the_summary_follows_what_was_there(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Tmux(80, 60, environment) as terminal:
        terminal.type(*PROGRAM, *TINY, "--json", str(tmp_path / "r.json"))
        terminal.wait(lambda screen: "single-flow" in screen.split(PROMPT)[-1].partition("\n")[2])
        ended = terminal.wait(lambda screen: screen.endswith(PROMPT))

        assert terminal.shows_cursor()
        assert terminal.all().count("single-flow") == 2 + ended.count("run single-flow --scale")

    said = ended.split("\n")
    first = next(place for place, line in enumerate(said) if line == "single-flow")
    assert said[first - 1] == "", "a blank line, and nothing of the view, before the summary"
    assert PROMPT in "\n".join(said[: first - 1])
    assert "repetition 1  " not in ended


@pytest.mark.parametrize(
    ("more", "wanted", "unwanted"),
    [
        ({}, "\x1b[3", r"\x1b\[\?"),
        ({"NO_COLOR": "1"}, "single-flow prime", r"\x1b\[[\d;]*3\d"),
        ({"TERM": "dumb"}, "phase process single-flow 0\r\n", "\x1b"),
        ({"LC_ALL": "C"}, "single-flow prime", r"[^\x00-\x7f]"),
    ],
    ids=["color", "NO_COLOR", "dumb", "ASCII"],
)
def test_standard_output_is_data_alone_whatever_the_terminal_is_like(
    environment: dict[str, str], more: dict[str, str], wanted: str, unwanted: str
) -> None:
    ended = on_a_terminal([*PROGRAM, *TINY, "--json", "-"], {**environment, **more})

    assert ended.code == 0
    assert json.loads(ended.output)["schema"] == "pgflow-stress/result/1"
    assert wanted in ended.shown
    assert not re.search(unwanted, ended.shown)
    assert SUMMARY in ended.shown


def test_quiet_leaves_a_terminal_alone(environment: dict[str, str]) -> None:
    ended = on_a_terminal([*PROGRAM, *TINY, "--json", "-", "--quiet"], environment)

    assert (ended.code, ended.shown) == (0, "")
    assert json.loads(ended.output)


def test_without_a_terminal_there_are_plain_lines_and_a_file_gets_what_a_pipe_gets(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [*PROGRAM, *TINY[:3], "600", *TINY[4:], "--progress", "0.2", "--json", "-"]
    with (tmp_path / "out").open("wb") as output, (tmp_path / "err").open("wb") as errors:
        code = subprocess.run(command, stdout=output, stderr=errors, env=environment, check=False).returncode

    said = (tmp_path / "err").read_text()
    assert code == 0
    assert json.loads((tmp_path / "out").read_text())["schema"] == "pgflow-stress/result/1"
    phases = [line for line in said.splitlines() if line.startswith("phase ")]
    assert [line.split()[1] for line in phases] == ["set-up", "prime", "create", "start", "process", "audit"]
    assert all(line.split()[2:] == ["single-flow", "0"] for line in phases)
    assert re.search(r"^progress process single-flow 0: \d+\.\d s, \d+ of 600, [\d.]+/s, backlog", said, re.MULTILINE)
    assert "\x1b" not in said
