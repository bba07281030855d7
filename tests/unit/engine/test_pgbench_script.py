"""pgbench's script of a worker's cycle."""

from __future__ import annotations

import json
import re

import pytest

from pgflow_stress.engine.rivals.pgbench_script import cycle_script, outputs
from pgflow_stress.scenario.options import Mode


def test_outputs_are_an_array_literal_whose_elements_are_the_output() -> None:
    text = outputs('{"p":"x\\\\"}', 2)

    assert text.startswith("{") and text.endswith("}")
    elements = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    assert [json.loads(re.sub(r"\\(.)", r"\1", one)) for one in elements] == [{"p": "x\\"}] * 2


@pytest.mark.parametrize(("mode", "completions"), [(Mode.BATCH, 1), (Mode.SINGLE, 7), (Mode.PIPELINE, 7)])
def test_a_cycle_has_a_completion_a_task_or_one_for_all(mode: Mode, completions: int) -> None:
    script = cycle_script(mode, batch=7, primes=3, vt_seconds=60, output="{}")

    assert script.count("pgflow.complete_task(") == completions
    assert script.count("\\syncpipeline") == (7 if mode is Mode.PIPELINE else 0)
    assert script.count("pgmq.read(") == script.count("pgflow.start_tasks(") == 1
