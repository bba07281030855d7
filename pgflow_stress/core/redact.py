"""Takes passwords out of whatever is about to be shown or written."""

from __future__ import annotations

import re

HIDDEN = "***"
# The password of a URI runs to the last @ of the word: libpq wants an @ in it encoded, people forget.
# The scheme is not looked at: to find where it begins takes a square of the length of a long word.
# Of a path that was meant to be a URI, one slash is left.
_IN_URI = re.compile(r"(?P<before>:/+[^\s:/@]*:)[^\s]*@")
_AS_KEYWORD = re.compile(
    r"(?P<before>(?:ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|\"(?:[^\"\\]|\\.)*\"?|[^\s&'\"]+)", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text with passwords of connection strings (URI, keyword=value) replaced."""
    return _AS_KEYWORD.sub(rf"\g<before>{HIDDEN}", _IN_URI.sub(rf"\g<before>{HIDDEN}@", text))
