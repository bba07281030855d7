"""A flow's file as text: statements, their places, and what is none of pgflow's two calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.target.flow_file import calls_of, place

FLOWS = Path(__file__).resolve().parents[2] / "data/flows"


@pytest.mark.parametrize("path", sorted(FLOWS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_compiled_file_is_its_calls_line_by_line(path: Path) -> None:
    text = path.read_text()

    calls = calls_of("f.sql", text)

    assert [call.text + ";" for call in calls] == text.splitlines()
    assert [place(text, call.offset) for call in calls] == [f"{line}:1" for line in range(1, len(calls) + 1)]
    assert [call.call for call in calls] == ["create_flow"] + ["add_step"] * (len(calls) - 1)


def test_comments_texts_and_a_frame_of_begin_and_commit_are_no_statements_of_their_own() -> None:
    text = (
        "BEGIN;\n-- one; two\n/* a /* nested; */ ; */\n"
        "select pgflow.create_flow('a;b', timeout => 1); SELECT \"pgflow\".add_step($$x;y$$, E'\\';', $t$;$$;$t$);"
        "\ncommit"
    )

    calls = calls_of("f.sql", text)

    assert [call.text for call in calls] == [
        "select pgflow.create_flow('a;b', timeout => 1)",
        "SELECT \"pgflow\".add_step($$x;y$$, E'\\';', $t$;$$;$t$)",
    ]
    assert [place(text, call.offset) for call in calls] == ["4:1", "4:49"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.sql: there is no SELECT pgflow.create_flow"),
        ("-- nothing\n;;", "f.sql: there is no"),
        ("\n  DROP TABLE pgflow.runs;", r"f.sql:2:3: .* nothing else; this is 'DROP TABLE pgflow.runs'"),
        ("select pgflow.create_flow('a');\nselect pg_sleep(9)", r"f.sql:2:1: .* this is 'select pg_sleep\(9\)'"),
        ("select pgflow.create_flow('a'); copy x to program 'y'", "f.sql:1:33: "),
        ("select 'unfinished", "f.sql:1:1: "),
        ("/* unfinished", "f.sql: there is no"),
        ("$tag$ unfinished", "f.sql:1:1: "),
    ],
)
def test_what_is_none_of_the_two_calls_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        calls_of("f.sql", text)


@given(st.text(alphabet="ab;'\"$/*-\n\\ E", max_size=40))
def test_whatever_a_file_holds_is_read_to_its_end(text: str) -> None:
    try:
        calls = calls_of("f.sql", text)
    except UsageFault:
        return
    assert all(text[call.offset :].startswith(call.text) for call in calls)
