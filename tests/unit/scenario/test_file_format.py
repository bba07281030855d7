"""Scenario files: where each key is, and what a schema does not allow, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.file_format import check, parse

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"enum": ["chain", "fan"]},
        "sizes": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 9}},
        "part": {
            "type": "array",
            "items": {"type": "object", "required": ["weight"], "properties": {"on": {"type": "boolean"}}},
        },
    },
}


def test_every_key_has_the_place_where_it_begins() -> None:
    located = parse(
        "f.toml",
        """\
# ü
scenario = "a"
"quoted key".inner = { x = 1, "y" = [2, [3, 4]] }
many = [
  1, # one
  2,
]
[table.below]
key = '''
[not.a.table]
'''
  [[part]]
  weight = 1
  [part.more]
  a = 1
[[part]]
"ü" = 1
""".encode(),
    )

    assert located.places[("scenario",)] == (2, 1)
    assert located.places[("quoted key", "inner", "x")] == (3, 24)
    assert located.places[("quoted key", "inner", "y", 1, 0)] == (3, 42)
    assert located.places[("many", 1)] == (6, 3)
    assert located.places[("table", "below", "key")] == (9, 1)
    assert located.places[("part", 0, "more", "a")] == (15, 3)
    assert located.places[("part", 1)] == (16, 1)
    assert located.places[("part", 1, "ü")] == (17, 1)
    assert located.at(("part", 1, "nothing", "there")) == "f.toml:16:1"
    assert located.at(()) == "f.toml:1:1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\nb = = 2", "f.toml:2:5: Invalid value"),
        (b"a = 'x", "f.toml:1:7: "),
        (b"a = 1\na = 2", "f.toml:2:6: Cannot overwrite a value"),
        (b"\xc3\xbc = 1\nb = '\xff'", "f.toml:2:6: not UTF-8 text"),
        (b"\x00\x01\x02ELF", "f.toml:1:1: "),
        (b"x." * 2000 + b"y = 1", "more than 20 deep"),
        (b"x = " + b"[" * 3000 + b"]" * 3000, "more than 20 deep"),
        ('"ü" = 1 1'.encode(), "f.toml:1:9: "),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(content: bytes, said: str) -> None:
    with pytest.raises(UsageFault) as fault:
        parse("f.toml", content)

    assert said in str(fault.value)


def test_everything_that_a_schema_does_not_allow_is_told_in_the_files_order() -> None:
    text = b"nam = 1\nname = 'chan'\nsizes = [1, 0, 10, 'x']\n[[part]]\nweight = 1\n[[part]]\non = 2"

    said = [str(fault) for fault in check(parse("f.toml", text), SCHEMA)]

    assert said == [
        "f.toml:1:1: unknown key 'nam'; nearest: name",
        "f.toml:2:1: name 'chan': there is none; nearest: chain",
        "f.toml:3:13: sizes[1] 0: give at least 1",
        "f.toml:3:16: sizes[2] 10: give at most 9",
        "f.toml:3:20: sizes[3] 'x': give a whole number",
        "f.toml:6:1: part[1]: there must be a key 'weight'",
        "f.toml:7:1: on 2: give true or false",
    ]
    assert check(parse("f.toml", b"name = 'fan'\nsizes = [1, 9]"), SCHEMA) == []


_KEYS = st.text(alphabet='abcü ."-', min_size=1, max_size=4)
_TABLES = st.recursive(
    st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=9,
)


@given(st.dictionaries(_KEYS, _TABLES, max_size=4))
def test_whatever_a_file_holds_each_of_its_keys_is_found(document: dict[str, Any]) -> None:
    text = "".join(f"{_key(key)} = {_written(value)}\n" for key, value in document.items())

    located = parse("f.toml", text.encode())

    assert dict(located.values) == document
    assert set(located.places) == set(_paths(document, ()))
    for path, (line, column) in located.places.items():
        if isinstance(path[-1], str):
            assert text.splitlines()[line - 1][column - 1 :].startswith(_key(path[-1]))


def _key(key: str) -> str:
    return '"' + key.replace('"', '\\"') + '"'


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_written(one)}" for key, one in value.items()) + "}"
    return "[" + ", ".join(map(_written, value)) + "]" if isinstance(value, list) else str(value)


def _paths(value: Any, path: tuple[str | int, ...]) -> Any:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from _paths(one, (*path, key))
