"""Which function a nested statement is of: the one whose source has its words in their order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_QUEUE = re.compile(r"pgmq\.\"?([qa])_\w+\"?")
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_RUN = 3  # words that have to follow each other
_LEAST_SHARE = 0.5  # of a statement's runs of words, in the source: EXECUTE's placeholders and constants break some


def plain_text(query: str, slug_prefix: str) -> str:
    """A statement in one line without comments; what is named after one of our flows is named after all of them."""
    named = _QUEUE.sub(r"pgmq.\1_*", _COMMENT.sub(" ", query))
    return " ".join(re.sub(rf"{re.escape(slug_prefix)}\w*", "*", named, flags=re.IGNORECASE).split())


def _words(text: str) -> list[str]:
    return _WORD.findall(_COMMENT.sub(" ", text).lower())


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    width = min(_RUN, len(words))
    return {tuple(words[at : at + width]) for at in range(len(words) - width + 1)} if width else set()


class Sources:
    """Functions' sources, to look statements up in."""

    def __init__(self, sources: Iterable[tuple[str, str]]) -> None:
        """`sources` as (function, its source); those of one name are looked in together."""
        self._words: defaultdict[str, set[str]] = defaultdict(set)
        self._runs: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for name, source in sources:
            words = _words(source)
            self._words[name].update(words)
            self._runs[name].update(_runs(words))

    def function_of(self, query: str) -> str | None:
        """The function that has most of a statement, and at least half; None where none has."""
        words = _words(query)
        wanted = _runs(words)
        if not wanted:
            return None
        found = {name: self._share(name, words, wanted) for name in self._runs}
        best = max(found, key=lambda name: found[name], default=None)
        return best if best is not None and found[best] >= _LEAST_SHARE else None

    def _share(self, name: str, words: list[str], wanted: set[tuple[str, ...]]) -> float:
        if len(words) < _RUN:  # too short for runs: all its words, anywhere
            return float(set(words) <= self._words[name])
        return len(wanted & self._runs[name]) / len(wanted)
