from __future__ import annotations

import os
import sys

import pytest
from rich.console import Console

from pgflow_stress.cli.streams import say, show


def test_tables_for_a_reader_that_has_gone_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)

        show(lambda console: console.print("a table"))
        say("and a line")


def test_without_standard_error_nothing_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[Console] = []
    monkeypatch.setattr(sys, "stderr", None)

    show(rendered.append)

    assert not rendered


def test_tables_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show(lambda console: console.print("a table"))

    assert capsys.readouterr() == ("", "a table\n")
