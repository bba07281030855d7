"""The journal of a sweep: what was kept is there after a kill at any moment, and nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.journal import JOURNAL_FILE, Journal

HEAD = {"axes": [["workers", ["1", "2"]]], "seed": 1}


def kept(folder: Path, entries: int) -> bytes:
    with Journal(folder, HEAD, resume=False) as journal:
        for entry in range(entries):
            journal.add({"cell": entry})
    return (folder / JOURNAL_FILE).read_bytes()


def test_every_cut_leaves_the_whole_lines_before_it_and_the_next_line_is_whole(tmp_path: Path) -> None:
    whole = kept(tmp_path, 3)
    for cut in range(len(whole) + 1):  # within the head as well: nothing was measured then
        (tmp_path / JOURNAL_FILE).write_bytes(whole[:cut])

        with Journal(tmp_path, HEAD, resume=True) as journal:
            before = len(journal.entries)
            journal.add({"cell": 99})

        assert before == max(0, whole[:cut].count(b"\n") - 1)
        assert [entry["cell"] for entry in Journal(tmp_path, HEAD, resume=True).entries] == [*range(before), 99]


def test_another_sweep_is_not_gone_on_with_and_the_difference_is_named(tmp_path: Path) -> None:
    kept(tmp_path, 1)

    with pytest.raises(UsageFault, match="another sweep: its seed 1, asked for 2"):
        Journal(tmp_path, {**HEAD, "seed": 2}, resume=True)


def test_a_sweep_is_neither_begun_over_another_nor_gone_on_with_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no sweep to go on with"):
        Journal(tmp_path, HEAD, resume=True)
    kept(tmp_path, 0)
    with pytest.raises(UsageFault, match="already holds a sweep"):
        Journal(tmp_path, HEAD, resume=False)


@pytest.mark.parametrize("content", [b"\n", b"[]\n", b"{}\n", b'{"schema": "other/1"}\n', b"\xff\n", b"half"])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(content)

    with pytest.raises(UsageFault, match=JOURNAL_FILE):
        Journal(tmp_path, HEAD, resume=True)
