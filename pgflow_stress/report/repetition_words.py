"""What a repetition is called, and values of any shape as rows of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgflow_stress.analysis import formats
from pgflow_stress.core.result import Repetition


def repetition_label(repetition: Repetition) -> str:
    """Its number, and why it does not count."""
    marks = {
        "warm-up": repetition.warmup,
        "interrupted": repetition.interrupted,
        "lost a worker": repetition.lost_worker,
        f"without {repetition.without}": repetition.baseline,
        repetition.probe: bool(repetition.probe),
    }
    kind = next((word for word, marked in marks.items() if marked), "")
    return f"{repetition.index} {kind}".strip()


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """(dotted name, text) of every leaf."""
    if isinstance(value, Mapping) and value:
        return [leaf for key, item in value.items() for leaf in flat(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return [leaf for number, item in enumerate(value) for leaf in flat(item, f"{path}.{number}")]
    if isinstance(value, list | tuple):
        return [(path, ", ".join(map(str, value)) or formats.ABSENT)]
    if value is None or isinstance(value, Mapping):
        return [(path, formats.ABSENT)]
    if isinstance(value, bool):
        return [(path, "yes" if value else "no")]
    return [(path, f"{value:,.6g}" if isinstance(value, float) else str(value))]
