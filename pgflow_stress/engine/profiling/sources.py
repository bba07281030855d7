"""Which function a nested statement is of: the one whose source has its words in their order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_QUEUE = re.compile(r"pgmq\.\"?([qa])_\w+\"?")
_OPEN = re.compile(r"%[IsL]|\w*\*")  # of FORMAT; and names that plain_text has cut
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_RUN = 3  # words that have to follow each other
_LEAST_SHARE = 0.5  # of a statement's runs of words, in the source: EXECUTE's placeholders and constants break some


def plain_text(query: str, slug_prefix: str) -> str:
    """A statement in one line without comments; what is named after one of our flows is named after all of them.

    A flow of the user's own keeps its name, and so does its queue.
    """
    prefix = re.escape(slug_prefix)
    queues = re.compile(rf'pgmq\."?([qa])_{prefix}\w*"?', re.IGNORECASE)
    named = queues.sub(r"pgmq.\1_*", _COMMENT.sub(" ", query))
    return " ".join(re.sub(rf"{prefix}\w*", "*", named, flags=re.IGNORECASE).split())


def _words(text: str) -> list[str]:
    """Without what differs between a source and what it sends: placeholders of names, and PERFORM for SELECT."""
    words = _WORD.findall(_OPEN.sub(" ", _QUEUE.sub("pgmq. ", _COMMENT.sub(" ", text))).lower())
    return ["select" if word == "perform" else word for word in words]


def _runs(words: list[str], width: int) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + width]) for at in range(len(words) - width + 1)} if width else set()


class Sources:
    """Functions' sources, to look statements up in."""

    def __init__(self, sources: Iterable[tuple[str, str]]) -> None:
        """`sources` as (function, its source); those of one name are looked in together."""
        self._runs: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for name, source in sources:
            words = _words(source)
            for width in range(1, _RUN + 1):
                self._runs[name] |= _runs(words, width)

    def function_of(self, query: str) -> str | None:
        """The function that has most of a statement, and at least half; None where none has."""
        words = _words(query)
        wanted = _runs(words, min(_RUN, len(words)))
        if not wanted:
            return None
        shares = {name: len(wanted & runs) / len(wanted) for name, runs in self._runs.items()}
        best = max(shares, key=lambda name: shares[name], default=None)
        return best if best is not None and shares[best] >= _LEAST_SHARE else None
