from __future__ import annotations

import pytest

from pgflow_stress.analysis.evidence import DEFAULT_LIMITS
from pgflow_stress.analysis.limits import with_limits
from pgflow_stress.core.errors import UsageFault


def test_numbers_are_put_in_the_place_of_the_defaults_and_the_last_counts() -> None:
    limits = with_limits(["min_phase_seconds=20", "max_checkpoints = 3", "min_phase_seconds=2.5"])

    assert (limits.min_phase_seconds, limits.max_checkpoints) == (2.5, 3)
    assert limits.max_steal_share == DEFAULT_LIMITS.max_steal_share
    assert with_limits([]) == DEFAULT_LIMITS


def test_an_unknown_name_lists_those_that_there_are() -> None:
    with pytest.raises(UsageFault, match="no limit 'min_seconds'; there are: min_phase_seconds, min_cycles"):
        with_limits(["min_seconds=3"])


@pytest.mark.parametrize(
    "text",
    ["min_phase_seconds", "min_phase_seconds=", "min_phase_seconds=x", "max_steal_share=nan", "max_steal_share=inf",
     "max_steal_share=-0.1", "max_checkpoints=1.5", "min_batches=9", "=3"],
)  # fmt: skip
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match=r"^--limit "):
        with_limits([text])
