"""The target of `plan` as it is typed."""

from __future__ import annotations

import pytest

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.wanted import Wanted, parse_wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("5000 runs/s of chain(5)", (5000, "runs", "chain", "5", ())),
        ("5,000 runs/s of chain", (5000, "runs", "chain", None, ())),
        ("1 run per minute of fan(width=20)", (1 / 60, "runs", "fan", None, ("width=20",))),
        ("8.64e5 tasks/day of map( levels=2 , elements=5 )", (10, "tasks", "map", None, ("levels=2", "elements=5"))),
        ("7200 TASKS/H of single-flow()", (2, "tasks", "single-flow", None, ())),
    ],
)
def test_a_target_is_read(text: str, wanted: tuple[float, str, str, str | None, tuple[str, ...]]) -> None:
    found = parse_wanted(text)

    assert found == Wanted(text, found.per_second, *wanted[1:])
    assert found.per_second == pytest.approx(wanted[0])


@pytest.mark.parametrize(
    "text",
    [
        "", "5000", "runs/s of chain", "5000 runs of chain", "5000 runs/s", "-1 runs/s of chain", "0 runs/s of chain",
        "1e99 runs/s of chain", "5 runs/fortnight of chain", "5 steps/s of chain", "5 runs/s of chain(5",
        "5 runs/s of chain(a,b)", "5 runs/s of chain(=5)", "5 runs/s of chain(5)(6)",
        "١ runs/s of chain", "nan runs/s of chain",
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="--target"):
        parse_wanted(text)


def test_a_rate_in_tasks_is_as_many_runs() -> None:
    assert parse_wanted("100 tasks/s of chain(5)").runs_per_second(5) == 20
