"""The result itself, whatever it was read from."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.core.result import to_json
from pgflow_stress.report.result_file import dump
from pgflow_stress.report.saved import Saved


def render(saved: Sequence[Saved]) -> str:
    """One document, or an array of several."""
    documents = [to_json(one.result) for one in saved]
    return dump(documents[0] if len(documents) == 1 else documents)
