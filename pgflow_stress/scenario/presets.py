"""Presets: a scenario under options of `run` that show one thing. Data; what is given anywhere else beats them."""

from __future__ import annotations

from dataclasses import dataclass

from pgflow_stress.scenario.shapes import SHAPES
from pgflow_stress.scenario.shapes.base import Shape


@dataclass(frozen=True, slots=True)
class Preset:
    """A scenario's name, and options as they would be typed."""

    scenario: str
    summary: str
    options: tuple[tuple[str, str], ...]


PRESETS: dict[str, Preset] = {
    "many-flows": Preset(
        "concurrent-flows", "2,000 flows, each a queue of its own", (("flows", "2000"), ("steps", "2"))
    ),
    "burst": Preset(
        "chain", "an open load with a burst in its middle", (("stages", "10s:5,2s:60,10s:5"), ("depth", "3"))
    ),
    "wide-history": Preset(
        "concurrent-flows",
        "few flows with many runs: what is finished piles up while it is measured",
        (("flows", "5"), ("runs", "5000"), ("steps", "10")),
    ),
    "payload": Preset("fan", "outputs of 64 KiB", (("payload", "65536"), ("runs", "40"))),
    "skew": Preset(
        "concurrent-flows", "runs dealt unevenly: one flow has most of them", (("deal", "zipf:1.2"), ("runs", "400"))
    ),
}


def shape_of(name: str) -> Shape | None:
    """What a scenario or a preset runs; None where there is neither."""
    preset = PRESETS.get(name)
    return SHAPES.get(preset.scenario if preset else name)


def names() -> list[str]:
    """Everything that `run` takes."""
    return [*SHAPES, *PRESETS]
