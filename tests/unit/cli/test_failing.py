from __future__ import annotations

import errno
from pathlib import Path

import click
import pytest

from pgflow_stress.cli.failing import tell
from pgflow_stress.cli.streams import OutputClosed
from pgflow_stress.core.errors import Interrupted, RunFailed, SetUpFault, UsageFault


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RunFailed("the server\nhas gone"), 1, "pgflow-stress: the server has gone\n"),
        (UsageFault("bad"), 2, "pgflow-stress: bad\n"),
        (
            SetUpFault("cannot reach postgresql://u:hunter2@h/x"),
            3,
            "pgflow-stress: cannot reach postgresql://u:***@h/x\n",
        ),
        (Interrupted("interrupted"), 130, "pgflow-stress: interrupted\n"),
        (KeyboardInterrupt(), 130, "pgflow-stress: interrupted\n"),
        (click.Abort(), 130, "pgflow-stress: interrupted\n"),
        (click.UsageError("no such thing."), 2, "pgflow-stress: no such thing\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 1, "pgflow-stress: No space left on device: /x\n"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5_000),
            2,
            f"pgflow-stress: File name too long: {'x' * 60}...\n",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
        (OutputClosed(), 1, ""),
        (MemoryError(), 1, "pgflow-stress: out of memory\n"),
        (
            BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
            1,
            "pgflow-stress: Resource temporarily unavailable\n",
        ),
        (
            RuntimeError("can't start new thread"),
            1,
            "pgflow-stress: a limit of this system was reached: can't start new thread\n",
        ),
        (
            ImportError("x.so: failed to map segment from shared object"),
            1,
            "pgflow-stress: a limit of this system was reached: x.so: failed to map segment from shared object\n",
        ),
    ],
)
def test_each_fault_has_its_code_and_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    assert tell(error) == code
    assert capsys.readouterr() == ("", said)


def raised_with_secret() -> Exception:
    try:
        raise KeyError("postgresql://u:hunter2@h/x")
    except KeyError as error:
        return error


def test_a_bug_of_ours_is_one_line_and_its_traceback_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path))

    code = tell(raised_with_secret())

    said = capsys.readouterr().err
    (kept,) = (tmp_path / "tracebacks").iterdir()
    assert code == 1
    assert said.count("\n") == 1
    assert "bug of ours" in said
    assert str(kept) in said
    assert "Traceback" in kept.read_text()
    assert "hunter2" not in said + kept.read_text()


def test_a_traceback_is_shown_to_those_who_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGFLOW_STRESS_TRACEBACK", "1")

    tell(raised_with_secret())

    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "hunter2" not in said


def test_a_cache_that_cannot_be_written_costs_only_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "file"))

    assert tell(raised_with_secret()) == 1
    assert "PGFLOW_STRESS_TRACEBACK=1" in capsys.readouterr().err
