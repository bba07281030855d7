"""Scenario files: a scenario with its parameters, options, stages, mix and thresholds, in TOML.

What is wrong is told with its line and column. The values are tomllib's, where they are in the text is tree-sitter's.
Which keys there may be is said by a JSON Schema, the same that editors are given.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.own import nearest

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from tree_sitter import Node

Path = tuple[str | int, ...]
_AT = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)
MOST_LEVELS = 20
_TOO_DEEP = f"tables and lists within one another more than {MOST_LEVELS} deep: no scenario has"
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "a table",
    "array": "a list",
}


@dataclass(frozen=True, slots=True)
class Located:
    """A file's values, and where each key is."""

    name: str  # as it was typed
    values: Mapping[str, Any]
    places: Mapping[Path, tuple[int, int]] = field(repr=False)

    def at(self, path: Sequence[str | int]) -> str:
        """`FILE:LINE:COLUMN` of a key, or of the nearest thing around it that has a place."""
        for length in range(len(path), 0, -1):
            if (place := self.places.get(tuple(path[:length]))) is not None:
                return f"{self.name}:{place[0]}:{place[1]}"
        return f"{self.name}:1:1"

    def fault(self, path: Sequence[str | int], what: str) -> UsageFault:
        """What is wrong with a key, with its place."""
        return UsageFault(f"{self.at(path)}: {what}")


def parse(name: str, content: bytes) -> Located:
    """A file's values and places.

    Raises:
        UsageFault: it is no text, or no TOML.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start])
        raise UsageFault(f"{name}:{line}:{column}: not UTF-8 text") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageFault(_syntax(name, text, str(error))) from None
    except RecursionError:
        raise UsageFault(f"{name}:1:1: {_TOO_DEEP}") from None
    if _depth(values) > MOST_LEVELS:
        raise UsageFault(f"{name}:1:1: {_TOO_DEEP}")
    return Located(name, values, dict(_places(content)))


def _depth(value: Any) -> int:
    """Levels of tables and lists; MOST_LEVELS + 1 for more than that."""
    level, depth = [value], 0
    while level and depth <= MOST_LEVELS:
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level, depth = [one for some in inside for one in some], depth + 1
    return depth


def _line_and_column(before: bytes) -> tuple[int, int]:
    """Both from 1, in characters."""
    return before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1


def _syntax(name: str, text: str, said: str) -> str:
    found = _AT.fullmatch(said)
    if found is None:
        return f"{name}:1:1: {said}"
    line, column = found["line"], found["column"]
    if line is None:
        line, column = map(str, _line_and_column(text.encode()))
    return f"{name}:{line}:{column}: {found['what']}"


def _places(content: bytes) -> Iterator[tuple[Path, tuple[int, int]]]:
    import tree_sitter_toml  # noqa: PLC0415  wanted where there is a file alone
    from tree_sitter import Language, Parser  # noqa: PLC0415

    tree = Parser(Language(tree_sitter_toml.language())).parse(content)
    arrays: dict[Path, int] = {}
    for node in tree.root_node.children:
        if node.type == "pair":
            yield from _of_pair(content, node, ())
        elif node.type in ("table", "table_array_element"):
            path = _through_arrays(_keys(content, node.children[1]), arrays)
            if node.type == "table_array_element":
                yield path, _place(content, node)
                arrays[path] = arrays.get(path, -1) + 1
                path = (*path, arrays[path])
            yield path, _place(content, node)
            for child in node.children:
                if child.type == "pair":
                    yield from _of_pair(content, child, path)


def _through_arrays(keys: Path, arrays: Mapping[Path, int]) -> Path:
    """`[a.b]` below `[[a]]` is of a's last element."""
    path: Path = ()
    for key in keys[:-1]:
        path = (*path, key)
        if path in arrays:
            path = (*path, arrays[path])
    return (*path, keys[-1])


def _of_pair(content: bytes, node: Node, above: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    path = (*above, *_keys(content, node.children[0]))
    for length in range(len(above) + 1, len(path) + 1):
        yield path[:length], _place(content, node)
    yield from _of_value(content, node.children[-1], path)


def _of_value(content: bytes, node: Node, path: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    if node.type == "inline_table":
        for child in node.children:
            if child.type == "pair":
                yield from _of_pair(content, child, path)
    elif node.type == "array":
        elements = [child for child in node.named_children if child.type != "comment"]
        for index, child in enumerate(elements):
            yield (*path, index), _place(content, child)
            yield from _of_value(content, child, (*path, index))


def _keys(content: bytes, node: Node) -> Path:
    """A key's parts, as TOML reads them, dotted and quoted ones too."""
    table: Any = tomllib.loads(f"{content[node.start_byte : node.end_byte].decode()} = 0")
    path: Path = ()
    while isinstance(table, dict):
        ((key, table),) = table.items()
        path = (*path, key)
    return path


def _place(content: bytes, node: Node) -> tuple[int, int]:
    return _line_and_column(content[: node.start_byte])


def check(located: Located, schema: Mapping[str, Any]) -> list[UsageFault]:
    """Everything in a file that its schema does not allow, in the file's order."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    faults = [(path, f"{_name(path)}: give a finite number") for path in _infinite(located.values, ())]
    for error in Draft202012Validator(schema).iter_errors(dict(located.values)):
        faults += _told(error)
    faults.sort(key=lambda fault: located.places.get(fault[0], (0, 0)))
    return [located.fault(path, what) for path, what in dict.fromkeys(faults)]


def _infinite(value: Any, path: Path) -> Iterator[Path]:
    """Where there is `nan` or `inf`, which JSON and so its schemas do not know."""
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        if isinstance(one, float) and not math.isfinite(one):
            yield (*path, key)
        yield from _infinite(one, (*path, key))


def _told(error: ValidationError) -> list[tuple[Path, str]]:
    """An error of the schema in words, with the key that it is about."""
    path: Path = tuple(error.absolute_path)
    name, wanted, schema = _name(path), cast("Any", error.validator_value), cast("Any", error.schema)
    if error.validator == "additionalProperties":
        known = list(schema.get("properties", {}))
        unknown = [key for key in cast("Any", error.instance) if key not in known]
        return [((*path, key), f"unknown key {key!r}{nearest(key, known) or _all(known)}") for key in unknown]
    if error.validator == "required":
        missing = [key for key in wanted if key not in cast("Any", error.instance)]
        return [(path, f"{name}: there must be a key {key!r}") for key in missing]
    if error.validator == "minItems":
        return [(path, f"{name} is empty")]
    return [(path, f"{name} {error.instance!r}: {_wanted(error)}")]


def _name(path: Path) -> str:
    """What the key is called: `workers`, `stages[1]`."""
    if len(path) > 1 and isinstance(path[-1], int):
        return f"{path[-2]}[{path[-1]}]"
    return str(path[-1]) if path else "the file"


def _wanted(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "enum":
        known = [str(one) for one in wanted]
        return f"there is none{nearest(str(error.instance), known) or _all(known)}"
    if error.validator == "type":
        return f"give {' or '.join(_TYPES[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted))}"
    bounds = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    if error.validator in bounds:
        return f"give {bounds[error.validator]} {wanted:g}"
    return str(error.message)


def _all(known: Sequence[str]) -> str:
    return f"; there are: {', '.join(known)}" if known else ""
