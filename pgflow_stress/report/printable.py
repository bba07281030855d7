"""Text of others made harmless to look at: no control character, nothing that turns the direction of what follows."""

from __future__ import annotations

import locale
import re

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line end: ESC starts a terminal's commands, NUL ends a page
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks and overrides of direction
    "\u2028\u2029\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with every such character written out, ESC as \\x1b."""
    return _HARMFUL.sub(lambda found: _written(ord(found.group())), text)


def is_plain(encoding: str) -> bool:
    """Whether a stream of this encoding is to get ASCII: it has no more, or the user's locale says that nobody has.

    Under LC_ALL=C Python writes UTF-8 all the same; a terminal need not understand it.
    """
    return not all(name.lower().startswith("utf") for name in (encoding, locale.getencoding()))


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
