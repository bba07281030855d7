"""pgflow's conditions of steps (0.14): what runs and outputs must hold so that they are met, and what is skipped.

A condition is a JSON object that a step's input must contain (`required`), or must not (`forbidden`). The input is the
run's own for a root, else an object of the outputs of those dependencies that completed. Containment is jsonb's `@>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.flow import FlowShape, Step, StepOptions


def contains(value: Any, pattern: Any) -> bool:
    """Whether jsonb's `value @> pattern` (PostgreSQL manual 8.14.3), of a pattern that is an object."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and contains(value[key], pattern[key]) for key in pattern)
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(one, part) for one in value) for part in pattern)
    return isinstance(value, bool) == isinstance(pattern, bool) and bool(value == pattern)


def of_renamed(options: StepOptions, names: Mapping[str, str]) -> StepOptions:
    """A dependant's options once the steps that its conditions name are called otherwise."""
    required, forbidden = (
        None if text is None else json.dumps({names.get(key, key): value for key, value in json.loads(text).items()})
        for text in (options.required, options.forbidden)
    )
    return replace(options, required=required, forbidden=forbidden)


def merged(value: Any, pattern: Any) -> Any:
    """`value` with as much of the pattern put in as leaves what it says itself as it is."""
    if isinstance(value, dict) and isinstance(pattern, dict):
        return {**value, **{key: merged(value[key], pattern[key]) if key in value else pattern[key] for key in pattern}}
    return value


def fitted(shape: FlowShape) -> FlowShape:
    """The same shape, its runs' input and its steps' outputs such that as many conditions are met as can be.

    Of two steps that want different things the first one gets its own; what is then unmet is skipped, as pgflow does.

    Raises:
        UsageFault: a condition that cannot be met would fail every run.
    """
    if all(step.options.required is None and step.options.forbidden is None for step in shape.steps):
        return shape
    given: Any = {}
    outputs: list[Any] = [{} for _ in shape.steps]
    for step in shape.steps:
        wanted = json.loads(step.options.required or "{}")
        if not step.deps:
            given = merged(given, wanted)
        for dep in step.deps:
            outputs[dep] = merged(outputs[dep], _of_one_task(shape.steps[dep], wanted))
    steps = [replace(step, output=_text(output)) for step, output in zip(shape.steps, outputs, strict=True)]
    rooted = replace(shape, steps=tuple(steps), input=_text(given))
    return _with_skips(rooted, given, outputs)


def _text(value: Any) -> str | None:
    return json.dumps(value) if value else None


def _of_one_task(step: Step, wanted: Mapping[str, Any]) -> Any:
    """What a step's condition wants of one task of a dependency: of a map's outputs, which are an array, an element."""
    part = wanted.get(step.slug, {})
    if step.kind == "map":
        part = part[0] if isinstance(part, list) and part else {}
    return part if isinstance(part, dict) else {}


def _with_skips(shape: FlowShape, given: Any, outputs: Sequence[Any]) -> FlowShape:
    arrays = shape.output_elements()
    known: list[Any] = []  # of each step: its output, None where it is skipped
    cascaded: set[int] = set()
    steps: list[Step] = []
    root_input = [] if shape.input_elements is not None else given  # no array contains an object
    for index, step in enumerate(shape.steps):
        own = {shape.steps[dep].slug: known[dep] for dep in step.deps if known[dep] is not None}
        skipped = any(dep in cascaded for dep in step.deps)
        if skipped:
            cascaded.add(index)
        elif not _met(step, own if step.deps else root_input):
            skipped = True
            if step.options.when_unmet == "fail":
                raise UsageFault(
                    f"step {step.slug!r}: its condition is not met by any input made here: every run fails"
                )
            if step.options.when_unmet == "skip-cascade":
                cascaded.add(index)
        empty = step.kind == "map" and bool(step.deps) and known[step.deps[0]] in (None, [])
        tasks = 0 if skipped or empty else step.tasks
        output = [outputs[index]] * tasks if step.kind == "map" else outputs[index]
        if step.kind == "single" and arrays[index] is not None:
            output = list(range(arrays[index] or 0))
        known.append(None if skipped else output)
        steps.append(replace(step, tasks=tasks, skipped=skipped))
    return replace(shape, steps=tuple(steps))


def _met(step: Step, value: Any) -> bool:
    required, forbidden = step.options.required, step.options.forbidden
    return (required is None or contains(value, json.loads(required))) and not (
        forbidden is not None and contains(value, json.loads(forbidden))
    )
