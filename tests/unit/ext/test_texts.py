"""PostgreSQL's text format, as the edge-worker's unprepared statements use it."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress_hot.texts import field_of, int_of, int_text, uuid_bytes, uuid_text


@given(value=st.uuids())
def test_a_uuid_is_written_and_read_as_python_does(value: uuid.UUID) -> None:
    assert uuid_text(value.bytes) == str(value).encode()
    assert uuid_bytes(str(value).encode()) == value.bytes


@pytest.mark.parametrize(
    "text", [b"", b"x" * 36, str(uuid.UUID(int=1)).encode()[:-1], b"0" * 36, b"-00" * 12, b"0" * 35 + b"-"]
)
def test_what_is_no_uuid_is_none(text: bytes) -> None:
    assert uuid_bytes(text) is None


@given(value=st.integers(0, 2**63 - 1))
def test_an_integer_is_written_as_python_does(value: int) -> None:
    assert int_text(value) == str(value).encode()


@given(value=st.integers(0, 10**18 - 1))
def test_an_integer_is_read_as_python_does(value: int) -> None:
    assert int_of(str(value).encode()) == value


@pytest.mark.parametrize("text", [b"", b"-1", b" 1", b"1x", b"9" * 19, b"9" * 400])
def test_what_is_no_integer_or_finds_no_room_is_told_apart(text: bytes) -> None:
    assert int_of(text) == -1


ROW = b'(flow,"a,b",s1,,0,completed,1,"he said ""no, (really)""","{""k"": ""a\\\\b""}",last)'


@pytest.mark.parametrize(
    ("number", "field"), [(0, b"flow"), (2, b"s1"), (3, b""), (5, b"completed"), (9, b"last"), (10, None), (1, None)]
)
def test_a_field_of_a_row_is_found_behind_quoted_ones(number: int, field: bytes | None) -> None:
    assert field_of(ROW, number) == field


@pytest.mark.parametrize("text", [b"", b"(", b"(a", b"a,b)", b'("a,b)'])
def test_a_row_that_is_cut_has_no_field(text: bytes) -> None:
    assert field_of(text, 1) is None
