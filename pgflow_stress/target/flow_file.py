"""A flow's migration as text: its statements, and where in the file each begins. Nothing is executed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pgflow_stress.core.errors import UsageFault

# What has no end of its own ends at the end of the text, where the server says what is wrong with it.
_TOKEN = re.compile(
    r"""
    (?P<line>--[^\n]*) | (?P<block>/\*) | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z))
    | (?P<text>'(?:[^']|'')*(?:'|\Z)) | (?P<name>"(?:[^"]|"")*(?:"|\Z)) | (?P<dollar>\$(?P<tag>[A-Za-z_]\w*)?\$)
    | (?P<end>;) | (?P<blank>\s+) | (?P<other>\w+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ALLOWED = re.compile(r'select\s+"?pgflow"?\s*\.\s*"?(create_flow|add_step)"?\s*\(', re.IGNORECASE)
_FRAME = re.compile(r"(begin|commit|end|start)(\s+(transaction|work))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without the comments before it and the semicolon after it."""

    text: str
    offset: int  # characters before it in the file
    call: str  # create_flow or add_step


def place(text: str, offset: int) -> str:
    """`LINE:COLUMN`, both from 1, of a character in a file."""
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1}"


def calls_of(name: str, text: str) -> list[Statement]:
    """The calls that a file makes, in its order; the transaction that frames them is left out.

    Raises:
        UsageFault: a statement that is none of pgflow's two, with its line and column, or no statement at all.
    """
    found = []
    for offset, statement in _statements(text):
        call = _ALLOWED.match(statement)
        if call is None:
            if _FRAME.fullmatch(statement):
                continue
            raise UsageFault(
                f"{name}:{place(text, offset)}: a flow's file has SELECT pgflow.create_flow(…) and SELECT "
                f"pgflow.add_step(…) and nothing else; this is {' '.join(statement.split())[:40]!r}"
            )
        found.append(Statement(statement, offset, call[1].lower()))
    if not found:
        raise UsageFault(f"{name}: there is no SELECT pgflow.create_flow(…) in it")
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    first: int | None = None
    last = at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None  # every character is one
        at = token.end()
        if token["block"]:
            at = _after_comment(text, at)
        elif token["end"]:
            if first is not None:
                yield first, text[first:last]
            first = None
        elif not (token["line"] or token["blank"]):
            if token["dollar"]:
                closing = text.find(token[0], at)
                at = len(text) if closing < 0 else closing + len(token[0])
            first, last = token.start() if first is None else first, at
    if first is not None:
        yield first, text[first:last]


def _after_comment(text: str, at: int) -> int:
    """Where a comment ends that has begun before `at`: comments are nested."""
    depth = 1
    while depth and (found := re.compile(r"/\*|\*/").search(text, at)):
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at if not depth else len(text)
