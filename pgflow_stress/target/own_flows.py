"""A user's own flows, read by a process of its own (`flow_reading`), which is gone when they are here."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pgflow_stress.core import errors
from pgflow_stress.core.errors import RunFailed, StressError
from pgflow_stress.scenario.flow import FlowOptions, StepOptions
from pgflow_stress.scenario.own import OwnFlow, OwnStep
from pgflow_stress.target.base import TargetOptions

_END_SECONDS = 20.0  # that it has for its clean-up once it is told to end


def read_own_flows(
    options: TargetOptions, files: Sequence[tuple[str, str]], slug: str | None, *, quiet: bool
) -> tuple[OwnFlow, ...]:
    """The flows that files define, or one of a given database.

    Args:
        files: (name as it is told, text) of each.
        slug: of a flow in the given database, instead.
    Raises:
        StressError: what is wrong with them, or with the database.
    """
    order = {
        "options": {**dataclasses.asdict(options), "isolation": options.isolation and str(options.isolation)},
        "files": [{"name": name, "text": text} for name, text in files],
        "slug": slug,
        "quiet": quiet,
    }
    answer = _ask(json.dumps(order))
    if "fault" in answer:
        raise _fault(answer)
    return tuple(_flow(flow) for flow in answer["flows"])


def _ask(order: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pgflow_stress.target.flow_reading"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        try:
            said, _ = reader.communicate(order)
        except BaseException:
            reader.terminate()  # it drops its database
            try:
                reader.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                reader.kill()
            raise
    if reader.returncode == 130:
        raise errors.Interrupted("interrupted while a flow was read")
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        raise RunFailed(f"the process that reads flows ended with {reader.returncode} and said nothing") from None
    return answer


def _fault(answer: Mapping[str, str]) -> StressError:
    kind = getattr(errors, answer["fault"], RunFailed)
    fault: StressError = kind(answer["text"])
    return fault


def _flow(told: Mapping[str, Any]) -> OwnFlow:
    steps = tuple(
        OwnStep(step["slug"], tuple(step["deps"]), step["kind"], StepOptions(**step["options"]))
        for step in told["steps"]
    )
    return OwnFlow(**{**told, "options": FlowOptions(**told["options"]), "steps": steps})
