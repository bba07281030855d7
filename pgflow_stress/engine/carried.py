"""Events of types that this tool does not know, but pgflow's own functions do: counted by type, and not judged.

A later pgflow may send them. What no function of pgflow's names stays what it is: unexpected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pgflow_stress.core.events import EVENT_TYPES
from pgflow_stress.target.capabilities import event_type_is_pgflows

CARRIED = "of a type that this tool does not know"


@dataclass(frozen=True, slots=True)
class Sorted:
    """Events without a place, in words: "run event"."""

    carried: dict[str, int]  # by type
    carried_words: tuple[str, ...]
    strays: tuple[str, ...]


def type_of(event: str) -> str:
    """`step:completed` of `step:slug:completed`; a run's event is its type."""
    first, _, last = event.rpartition(":")
    return f"step:{last}" if first.startswith("step:") else event


class Carrier:
    """Sorts events by what pgflow's functions name; asks once a type."""

    def __init__(self, connection: Any) -> None:
        """Nothing is asked yet."""
        self._connection = connection
        self._known: dict[str, bool] = dict.fromkeys(EVENT_TYPES, False)

    def sort(self, words: Iterable[str]) -> Sorted:
        """Those to be carried, and the others."""
        carried: list[str] = []
        strays: list[str] = []
        for one in words:
            (carried if self._is_carried(one) else strays).append(one)
        return Sorted(dict(Counter(type_of(_event(one)) for one in carried)), tuple(carried), tuple(strays))

    def _is_carried(self, words: str) -> bool:
        kind = type_of(_event(words))
        if kind not in self._known:
            self._known[kind] = kind.startswith(("run:", "step:")) and event_type_is_pgflows(self._connection, kind)
        return self._known[kind]


def missing(stored: Sorted, received: Sorted) -> Sequence[str]:
    """Types that were received less often than they are stored, with how often."""
    return [
        f"{kind}: {count} stored, {received.carried.get(kind, 0)} received"
        for kind, count in sorted(stored.carried.items())
        if received.carried.get(kind, 0) < count
    ]


def _event(words: str) -> str:
    return words.partition(" ")[2]
